//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use r3e_common::runtime::config::{ConfigArgs, Flag};
use r3e_common::runtime::notify::SupervisorArgs;

/// Shows and purges the memory of the r3e-leaderboard programs, and records it over time.
#[derive(Debug, Parser)]
#[command(name = "r3e-monitor", version, max_term_width = 100, after_help = EXAMPLES)]
#[command(mut_args(|argument| argument.global(true)))]
pub struct Arguments {
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Print the result as JSON; not for top, watch and serve
    #[arg(long)]
    pub json: bool,
    /// Folder of the control sockets
    #[arg(long, value_name = "DIR", allow_hyphen_values = true)]
    #[arg(help = "Folder of the control sockets [default: runtime.dir]")]
    pub runtime_dir: Option<OsString>,
    /// Database of the history [default: monitor.db]
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub history_file: Option<OsString>,
    /// Flags of the configuration.
    #[command(flatten, next_help_heading = "Configuration")]
    pub config: ConfigArgs,
}

impl Arguments {
    /// A flag that the command does not take.
    pub(crate) fn out_of_place(&self) -> Option<&'static str> {
        match &self.command {
            Some(Command::Watch(_) | Command::Serve(_)) if self.json => {
                Some("--json: watch and serve print no result\nhint: use --log-format json for the log")
            }
            Some(Command::Profile(it)) if it.reset && it.switch == Switch::Off => Some("--reset: only for profile on"),
            _ => None,
        }
    }

    /// Flags of the configuration that only this program has.
    pub(crate) fn own_flags(&self) -> Vec<Flag> {
        let flags = [
            ("--runtime-dir", "runtime.dir", &self.runtime_dir),
            ("--history-file", "monitor.history", &self.history_file),
        ];
        let given = flags.into_iter().filter_map(|(name, key, value)| Some(Flag { name, key, value: value.clone()? }));
        given.chain(self.listen()).collect()
    }

    fn listen(&self) -> Option<Flag> {
        let Some(Command::Serve(ServeArguments { listen: Some(value), .. })) = &self.command else { return None };
        Some(Flag { name: "--listen", key: "monitor.listen", value: value.clone() })
    }
}

const EXAMPLES: &str = "\
Examples:
  r3e-monitor list                       running programs, and whether they answer
  r3e-monitor stats                      memory of all programs, the largest first
  r3e-monitor stats loader --watch 2s    memory of the loader, every two seconds
  r3e-monitor top                        live view in a terminal; ? shows the keys
  r3e-monitor purge 4711                 make process 4711 return unused memory
  r3e-monitor tasks loader               its live tasks; also connections, fds
  r3e-monitor heap loader -o heap.pb.gz  its heap profile; view it with go tool pprof -http=: heap.pb.gz
  r3e-monitor heap --diff A.pb.gz B.pb.gz                  growth between two profiles
  r3e-monitor profile on loader          start sampling, if it runs with memory.profile = \"ready\"
  r3e-monitor watch                      record all programs and purge them regularly, until stopped
  r3e-monitor history --since 24h        memory over time
  r3e-monitor verdict scheduler          whether it leaks, and how fast; of a job, by its last runs
  r3e-monitor serve                      look-up page, dashboard, metrics, published files: http://127.0.0.1:9464
  r3e-monitor report -o report.html      the charts of the dashboard as one file
  r3e-monitor runs --last 5 --json       duration, peak and outcome of the last jobs

PROGRAM is a program's name, with or without r3e-. PID is a process id.

Exit codes: 0 success (watch and serve: stopped on request), 1 a program did not comply, verdict found a leak, or an
unexpected error, 2 usage or no such process, 74 disk error, 75 try again later: another watch uses this history, the
port is in use, or the memory limit was reached, 78 invalid configuration, or a history of a later version.";

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// List running programs
    List,
    /// Show the memory of programs
    Stats(StatsArguments),
    /// Live view in a terminal: memory over time, progress, details of a process; ? shows the keys
    Top(TopArguments),
    /// Make programs return unused memory to the system
    Purge(Selected),
    /// Show the live tasks of a program: name, age, and where it was spawned
    Tasks(One),
    /// Show the connections of a program, even if it hangs
    Connections(One),
    /// Show the open file descriptors of a program, even if it hangs
    Fds(One),
    /// Show which functions hold memory: as a table, a pprof file or a flame graph
    Heap(HeapArguments),
    /// Switch heap profiling of a program on or off
    Profile(ProfileArguments),
    /// Record all programs in the history and purge them regularly, until stopped
    Watch(SupervisorArgs),
    /// Serve a page to look up drivers, a dashboard, Prometheus metrics and the published files, until stopped; read-only
    Serve(ServeArguments),
    /// Write the charts of the dashboard to one HTML file
    Report(ReportArguments),
    /// Show the memory of programs over time
    History(HistoryArguments),
    /// Find memory leaks: in processes from the memory after each purge, in jobs from their last runs; exits with 1 if there is one
    Verdict(VerdictArguments),
    /// Show duration, memory peak and outcome of jobs
    Runs(RunsArguments),
}

/// Processes.
#[derive(Debug, Clone, Args)]
pub struct Selected {
    /// Programs or process ids [default: all]
    #[arg(value_name = "PROGRAM|PID")]
    pub which: Vec<String>,
}

/// One process.
#[derive(Debug, Clone, Args)]
pub struct One {
    /// A program or process id
    #[arg(value_name = "PROGRAM|PID")]
    pub which: String,
}

/// Arguments of `heap`.
#[derive(Debug, Clone, Args)]
pub struct HeapArguments {
    /// A program or process id
    #[arg(value_name = "PROGRAM|PID", required_unless_present = "diff", conflicts_with = "diff")]
    pub which: Option<String>,
    /// Show the growth between two saved profiles instead
    #[arg(long, num_args = 2, value_names = ["EARLIER", "LATER"])]
    pub diff: Option<Vec<PathBuf>>,
    /// Save the profile to this file, for `go tool pprof`
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Draw a flame graph to this file; with --diff of what grew
    #[arg(long, value_name = "FILE.svg")]
    pub flamegraph: Option<PathBuf>,
    /// Number of functions in the table
    #[arg(long, value_name = "N", default_value = "30", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
}

/// Arguments of `profile`.
#[derive(Debug, Clone, Args)]
pub struct ProfileArguments {
    /// On or off
    #[arg(value_name = "on|off")]
    pub switch: Switch,
    /// The process.
    #[command(flatten)]
    pub one: One,
    /// With on: drop earlier samples, so that the profile shows only later allocations
    #[arg(long)]
    pub reset: bool,
}

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// On.
    On,
    /// Off.
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
    /// The processes.
    #[command(flatten)]
    pub selected: Selected,
    /// Repeat at this interval, until stopped
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub watch: Option<Duration>,
}

/// Arguments of `top`.
#[derive(Debug, Clone, Args)]
pub struct TopArguments {
    /// Polling interval
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "1s")]
    pub every: Duration,
    /// No colours; also with `NO_COLOR` set, or on a dumb terminal
    #[arg(long, alias = "no-color")]
    pub no_colour: bool,
}

/// Arguments of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArguments {
    /// Address to listen on
    #[arg(long, value_name = "ADDR", allow_hyphen_values = true)]
    #[arg(help = "Address to listen on, such as 127.0.0.1:9464 [default: monitor.listen]")]
    pub listen: Option<OsString>,
    /// The supervisor
    #[command(flatten)]
    pub supervisor: SupervisorArgs,
}

/// Arguments of `report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArguments {
    /// File to write
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
    /// The processes and jobs.
    #[command(flatten)]
    pub selected: Selected,
    /// How far back, for processes. The first 20 purges of a process are ignored; a verdict needs 12 more, a leak 30 more. A job
    /// is judged by its last 60 runs and needs 8 of about the same size
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "24h")]
    pub since: Duration,
}

/// Arguments of `runs`.
#[derive(Debug, Clone, Args)]
pub struct RunsArguments {
    /// Number of runs
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
    fn flags_may_precede_or_follow_the_command() {
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
    fn times_need_a_unit_and_must_not_be_zero() {
        assert_eq!(time("2s"), Ok(Duration::from_secs(2)));
        for text in ["2", "0s", "-1s", "", "soon"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
