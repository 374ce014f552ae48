//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use r3e_common::runtime::config::ConfigArgs;
use r3e_common::runtime::notify::SupervisorArgs;

/// Starts the jobs of r3e-leaderboard when they are due, one at a time, until stopped.
///
/// The loader runs at the start; the refresher runs daily, and when the trigger file requests it.
#[derive(Debug, Parser)]
#[command(name = "r3e-scheduler", version, max_term_width = 100, after_help = EXAMPLES)]
#[command(mut_args(|argument| argument.global(true)))]
pub struct Arguments {
    /// A command to run instead of scheduling.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Print the result of next and check as JSON
    #[arg(long)]
    pub json: bool,
    /// The folder of r3e-loader and r3e-refresher [default: this program's folder, else the search path]
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
    /// The supervisor's flags.
    #[command(flatten)]
    pub supervisor: SupervisorArgs,
    /// The configuration's flags, which are passed on to jobs.
    #[command(flatten, next_help_heading = "Configuration")]
    pub config: ConfigArgs,
}

impl Arguments {
    /// The error for flags that do not apply to the command.
    pub(crate) fn out_of_place(&self) -> Option<&'static str> {
        let asked = self.command.is_some();
        if self.json && !asked {
            Some("--json applies to next and check only; for a log in JSON use --log-format json")
        } else if asked && (self.programs.is_some() || self.supervisor.notify_fd.is_some()) {
            Some("--programs and --notify-fd do not apply to next and check")
        } else {
            None
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  r3e-scheduler                           run jobs when they are due, until stopped
  r3e-scheduler next --count 10           show when the next ten runs are due
  r3e-scheduler check                     check the configuration

Exit codes: 0 done (a running scheduler: stopped as requested), 1 unexpected, 2 usage, 74 disk failed, 75 another scheduler
is at work on this cache or the memory limit was reached, 78 invalid configuration.";

/// Commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Show when the next runs are due
    Next(NextArguments),
    /// Check the configuration and the catalogue, and exit
    Check,
}

/// Arguments of `next`.
#[derive(Debug, Clone, Args)]
pub struct NextArguments {
    /// How many runs to show
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub count: u32,
}
