//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use r3e_common::runtime::config::ConfigArgs;
use r3e_common::runtime::notify::SupervisorArgs;

/// Starts the jobs of r3e-leaderboard at their time, one at a time, until it is stopped.
///
/// The loader runs at the start, the refresher every day and when the trigger file asks for it.
#[derive(Debug, Parser)]
#[command(name = "r3e-scheduler", version, max_term_width = 100, after_help = EXAMPLES)]
#[command(mut_args(|argument| argument.global(true)))]
pub struct Arguments {
    /// What to do instead of scheduling.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Print the result of next and check as JSON
    #[arg(long)]
    pub json: bool,
    /// The folder of r3e-loader and r3e-refresher [default: that of this program, or else the search path]
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
    /// The flags that tell of a supervisor.
    #[command(flatten)]
    pub supervisor: SupervisorArgs,
    /// The configuration's flags, which jobs are started with too.
    #[command(flatten, next_help_heading = "Configuration")]
    pub config: ConfigArgs,
}

impl Arguments {
    /// What was given and has no meaning for what was asked for.
    pub(crate) fn out_of_place(&self) -> Option<&'static str> {
        let asked = self.command.is_some();
        if self.json && !asked {
            Some("--json: only next and check have a result; the log is written as JSON with --log-format json")
        } else if asked && (self.programs.is_some() || self.supervisor.notify_fd.is_some()) {
            Some("--programs and --notify-fd say how to schedule: they cannot be used with next and check")
        } else {
            None
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  r3e-scheduler                           run jobs at their time, until stopped
  r3e-scheduler next --count 10           when the next ten runs are due
  r3e-scheduler check                     is the configuration right?

Exit codes: 0 done (of a running scheduler: stopped as asked), 1 unexpected, 2 usage, 74 disk failed, 75 another scheduler
is at work on this cache or the memory limit was reached, 78 configuration.";

/// What can be asked for instead of scheduling.
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
    /// How many
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub count: u32,
}
