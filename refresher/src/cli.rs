//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use r3e_common::domain::TrackId;
use r3e_common::job::JobArgs;
use r3e_common::runtime::config::ConfigArgs;

/// Fetches leaderboards again, regardless of their age, and exports the index.
///
/// Unchanged boards are not rewritten; boards that cannot be fetched stay as they are. Front ends can read the cache at any time.
#[derive(Debug, Parser)]
#[command(name = "r3e-refresher", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to refresh.
    #[command(subcommand)]
    pub command: Command,
    /// The flags of every job.
    #[command(flatten)]
    pub job: JobArgs,
    /// The configuration's flags.
    #[command(flatten)]
    pub config: ConfigArgs,
}

const EXAMPLES: &str = "\
Examples:
  r3e-refresher full                          all boards; resumes an interrupted refresh
  r3e-refresher full --fresh                  all boards, from the beginning
  r3e-refresher boards 1693 5276-8600         the boards of one track, and one other board
  r3e-refresher boards --from list.txt        the boards listed in a file; - is standard input
  r3e-refresher incremental --budget 30m      the oldest boards, for half an hour
  r3e-refresher incremental --track 1693 --limit 20

Exit codes: 0 done, 1 unexpected, 2 usage, 3 some boards failed, 69 service unavailable, 74 disk failed,
75 another writer is at work or the memory limit was reached, 78 invalid configuration or a memory limit that is too small,
130 and 143 stopped by a signal.";

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Refresh all boards
    Full {
        /// Start over, even if an interrupted refresh could be resumed
        #[arg(long)]
        fresh: bool,
    },
    /// Refresh the given boards
    Boards(BoardsArguments),
    /// Refresh the oldest boards first, and write each to the cache at once
    Incremental(IncrementalArguments),
}

/// Arguments of `boards`.
#[derive(Debug, Args)]
pub struct BoardsArguments {
    /// 1693 for all classes of a track; 5276-8600, or the URL of a board, for one board
    #[arg(value_name = "BOARDS", required_unless_present = "from")]
    pub tokens: Vec<String>,
    /// Read more boards from this file, separated by white space; - is standard input
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
}

/// Arguments of `incremental`.
#[derive(Debug, Args)]
pub struct IncrementalArguments {
    /// Only the boards of this track
    #[arg(long, value_name = "ID")]
    pub track: Option<TrackId>,
    /// At most this many boards
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Start no more boards after this time (e.g. 30m)
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub budget: Option<Duration>,
}
