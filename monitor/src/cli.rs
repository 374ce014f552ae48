//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use r3e_common::process::config::{ConfigArgs, Flag};
use r3e_common::process::notify::SupervisorArgs;

/// Shows what the programs of r3e-leaderboard hold, has them give it back, and keeps the history.
#[derive(Debug, Parser)]
#[command(name = "r3e-monitor", version, max_term_width = 100, after_help = EXAMPLES)]
#[command(mut_args(|argument| argument.global(true)))]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Print the result as JSON; not for top, watch and serve, which have none
    #[arg(long)]
    pub json: bool,
    /// The folder of the control sockets
    #[arg(long, value_name = "DIR", allow_hyphen_values = true)]
    #[arg(help = "The folder of the control sockets [default: that of runtime.dir, see --print-config]")]
    pub runtime_dir: Option<OsString>,
    /// The file of the history [default: monitor.db]
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub history_file: Option<OsString>,
    /// The configuration's flags.
    #[command(flatten, next_help_heading = "Configuration")]
    pub config: ConfigArgs,
}

impl Arguments {
    /// What was given and has no meaning for what was asked for.
    pub(crate) fn out_of_place(&self) -> Option<&'static str> {
        match &self.command {
            Some(Command::Watch(_) | Command::Serve(_)) if self.json => {
                Some("--json: watch and serve have no result; the log is written as JSON with --log-format json")
            }
            Some(Command::Profile(it)) if it.reset && it.switch == Switch::Off => {
                Some("--reset: goes with profile on, which begins anew; profile off keeps what was sampled")
            }
            _ => None,
        }
    }

    /// The configuration's flags that only this program has.
    pub(crate) fn own_flags(&self) -> Vec<Flag> {
        let flags = [
            ("--runtime-dir", "runtime.dir", &self.runtime_dir),
            ("--history-file", "monitor.history", &self.history_file),
        ];
        let given = flags.into_iter().filter_map(|(name, key, value)| Some(Flag { name, key, value: value.clone()? }));
        given.chain(self.listen()).collect()
    }

    fn listen(&self) -> Option<Flag> {
        let Some(Command::Serve(ServeArguments { listen: Some(value) })) = &self.command else { return None };
        Some(Flag { name: "--listen", key: "monitor.listen", value: value.clone() })
    }
}

const EXAMPLES: &str = "\
Examples:
  r3e-monitor list                       which programs run, and which of them answer
  r3e-monitor stats                      what they hold, the most resident first
  r3e-monitor stats loader --watch 2s    … of the loader, again and again
  r3e-monitor top                        all of it live, in a terminal; ? shows the keys
  r3e-monitor purge 4711                 have process 4711 give back what it does not use
  r3e-monitor tasks loader               what it is doing; connections and fds likewise
  r3e-monitor heap loader -o heap.pb.gz  what its functions hold; go tool pprof -http=: heap.pb.gz shows it
  r3e-monitor heap --diff A.pb.gz B.pb.gz                  what grew between the two
  r3e-monitor profile on loader          begin to sample what it allocates, if it runs with memory.profile = \"ready\"
  r3e-monitor watch                      sample all, have all purge from time to time; until stopped
  r3e-monitor history --since 24h        what was held when
  r3e-monitor verdict loader             whether it leaks, by how much, and what could have been seen
  r3e-monitor serve                      a dashboard, metrics and the published files on http://127.0.0.1:9464
  r3e-monitor report -o report.html      the dashboard's charts as one file; --since 24h
  r3e-monitor runs --last 5 --json       what the last jobs took, their peak and outcome

PROGRAM is a program's name, with or without r3e-; PID is a process id.

Exit codes: 0 done (of watch and serve: stopped as asked), 1 a program did not do what was asked, a leak was found
by verdict, or unexpected, 2 usage, or a name that no process has, 74 disk failed, 75 another watch keeps this history,
the port is taken, or the memory limit was reached, 78 configuration, or a history of a later version.";

/// What is asked for.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// List the programs that run
    List,
    /// Show what programs hold
    Stats(StatsArguments),
    /// Live view in a terminal: memory over time, progress, details of a process; ? shows the keys
    Top(TopArguments),
    /// Have programs give back memory that they do not use
    Purge(Selected),
    /// Show the live tasks of a program: name, age, and where it was spawned
    Tasks(One),
    /// Show the connections of a program, by the kernel's account
    Connections(One),
    /// Show the file descriptors of a program, by the kernel's account
    Fds(One),
    /// Show what the functions of a program hold: as a table, as a file for pprof, or as a flame graph
    Heap(HeapArguments),
    /// Switch the sampling of what a program allocates on or off
    Profile(ProfileArguments),
    /// Sample all programs into the history, and have them purge from time to time
    Watch(SupervisorArgs),
    /// Serve a dashboard, metrics for Prometheus, and the published files, until stopped; read-only
    Serve(ServeArguments),
    /// Write the dashboard's charts as one HTML file
    Report(ReportArguments),
    /// Show what programs held
    History(HistoryArguments),
    /// Tell a leak from noise, by what programs held after purges; exits with 1 where there is a leak
    Verdict(VerdictArguments),
    /// Show what jobs took, their peak and their outcome
    Runs(RunsArguments),
}

/// Some processes, or all.
#[derive(Debug, Clone, Args)]
pub struct Selected {
    /// Which [default: all]
    #[arg(value_name = "PROGRAM|PID")]
    pub which: Vec<String>,
}

/// One process.
#[derive(Debug, Clone, Args)]
pub struct One {
    /// Which one
    #[arg(value_name = "PROGRAM|PID")]
    pub which: String,
}

/// Arguments of `heap`.
#[derive(Debug, Clone, Args)]
pub struct HeapArguments {
    /// Which one
    #[arg(value_name = "PROGRAM|PID", required_unless_present = "diff", conflicts_with = "diff")]
    pub which: Option<String>,
    /// Show what grew from the first saved profile to the second, instead of asking a program
    #[arg(long, num_args = 2, value_names = ["EARLIER", "LATER"])]
    pub diff: Option<Vec<PathBuf>>,
    /// Save the profile in this file, for `go tool pprof` and its like
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Draw it as a flame graph in this file, for a browser; of --diff what grew
    #[arg(long, value_name = "FILE.svg")]
    pub flamegraph: Option<PathBuf>,
    /// How many functions the table shows
    #[arg(long, value_name = "N", default_value = "30", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
}

/// Arguments of `profile`.
#[derive(Debug, Clone, Args)]
pub struct ProfileArguments {
    /// On or off
    #[arg(value_name = "on|off")]
    pub switch: Switch,
    /// Which one.
    #[command(flatten)]
    pub one: One,
    /// With on: forget what was sampled before, so that only what is allocated from now on is seen
    #[arg(long)]
    pub reset: bool,
}

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// It is on.
    On,
    /// It is off.
    Off,
}

impl FromStr for Switch {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err("expected on or off"),
        }
    }
}

/// Arguments of `stats`.
#[derive(Debug, Clone, Args)]
pub struct StatsArguments {
    /// Which programs.
    #[command(flatten)]
    pub selected: Selected,
    /// Show it again every so often, until stopped
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub watch: Option<Duration>,
}

/// Arguments of `top`.
#[derive(Debug, Clone, Args)]
pub struct TopArguments {
    /// How often all are asked
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "1s")]
    pub every: Duration,
    /// Without colours; also with `NO_COLOR` set, and on a dumb terminal
    #[arg(long, alias = "no-color")]
    pub no_colour: bool,
}

/// Arguments of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArguments {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", allow_hyphen_values = true)]
    #[arg(help = "The address to listen on, such as 127.0.0.1:9464 [default: monitor.listen]")]
    pub listen: Option<OsString>,
}

/// Arguments of `report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArguments {
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// How far back
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "24h")]
    pub since: Duration,
}

/// Arguments of `history`.
#[derive(Debug, Clone, Args)]
pub struct HistoryArguments {
    /// How far back
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "2h")]
    pub since: Duration,
}

/// Arguments of `verdict`.
#[derive(Debug, Clone, Args)]
pub struct VerdictArguments {
    /// Which programs.
    #[command(flatten)]
    pub selected: Selected,
    /// How far back. The first 20 purges of a process are its warm-up; a verdict takes 12 more, a leak 30 more
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "24h")]
    pub since: Duration,
}

/// Arguments of `runs`.
#[derive(Debug, Clone, Args)]
pub struct RunsArguments {
    /// How many
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub last: u32,
}

/// A duration with its unit, not zero.
fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(it) if !it.is_zero() => Ok(it),
        _ => Err("expected a duration with its unit, such as 2s, 30m or 24h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn flags_may_stand_before_and_behind_the_command() {
        Arguments::command().debug_assert();
        for words in [["--json", "list", "-q"], ["list", "--json", "-q"], ["-q", "--json", "list"]] {
            let it = Arguments::try_parse_from(["r3e-monitor"].into_iter().chain(words)).unwrap();
            assert!(it.json && it.config.quiet && matches!(it.command, Some(Command::List)), "{words:?}");
        }
        let it =
            Arguments::try_parse_from(["r3e-monitor", "watch", "--runtime-dir", "x", "--history-file", "y"]).unwrap();
        let flags: Vec<_> = it.own_flags().into_iter().map(|it| (it.key, it.value)).collect();
        assert_eq!(flags, [("runtime.dir", "x".into()), ("monitor.history", "y".into())]);
    }

    #[test]
    fn times_need_a_unit_and_are_not_zero() {
        assert_eq!(time("2s"), Ok(Duration::from_secs(2)));
        for text in ["2", "0s", "-1s", "", "soon"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
