//! The command line of r3e-archive. It is a crate of its own, so that man pages and shell completions need no query engine.

#![expect(clippy::doc_markdown, reason = "the help of flags is shown as it is")]

mod time;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use r3e_common::domain::Combination;
use r3e_common::runtime::config::{ConfigArgs, Flag};

pub use time::{Since, Until};

/// Keeps every version of every leaderboard, and answers questions about them.
///
/// `record` appends what was published since it last ran; the other commands read. The archive is a folder of Parquet files, or an
/// S3 bucket (`archive.url`).
#[derive(Debug, Parser)]
#[command(name = "r3e-archive", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The archive: a folder, or s3://bucket/prefix [default: `archive` beside the cache]
    #[arg(long, global = true, value_name = "URL", allow_hyphen_values = true)]
    pub archive: Option<OsString>,
    /// The configuration's flags.
    #[command(flatten, next_help_heading = "Configuration")]
    pub config: ConfigArgs,
}

const EXAMPLES: &str = "\
Examples:
  r3e-archive record                                 record the boards that have changed
  r3e-archive board 1693-1703 --at 2026-11-01        show a board as it was that day
  r3e-archive driver --id 435167                     show the progress of a driver
  r3e-archive records 1693-1703                      show how the record of a board fell
  r3e-archive changes --since 7d                     show which boards changed
  r3e-archive sql \"SELECT count(*) FROM latest\"      query the archive
  r3e-archive --archive s3://bucket/r3e compact      merge past months in a bucket
  r3e-archive restore --at 2026-11-01 --into before  get back the boards of a day

Views for sql: entries, board_versions, latest, records, drivers; `r3e-archive sql \"DESCRIBE entries\"` shows the columns.

Exit codes: 0 done, 1 unexpected, 2 usage or an invalid statement, 3 some boards could not be read, or verify found damage,
69 object store or cluster unavailable, 74 disk failed, 75 another writer or out of memory, 78 invalid configuration,
130 and 143 stopped by a signal.";

impl Arguments {
    /// The flags that set a key of the configuration.
    #[must_use]
    pub fn own_flags(&self) -> Vec<Flag> {
        let flag = |value: &OsString| Flag { name: "--archive", key: "archive.url", value: value.clone() };
        self.archive.iter().map(flag).collect()
    }
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record the published boards that have changed since the last recording
    Record(RecordArguments),
    /// Show a board as it stood at a time
    Board(BoardArguments),
    /// Show the progress of a driver, board by board
    Driver(DriverArguments),
    /// Show each new record of a board
    Records(RecordsArguments),
    /// Show which boards changed
    Changes(ChangesArguments),
    /// Show how much is recorded
    Stats(StatsArguments),
    /// Run a query
    Sql(SqlArguments),
    /// Merge the nights of past months into larger, sorted files
    Compact(CompactArguments),
    /// Read all files, and check them against their checksums
    Verify(JsonArguments),
    /// Write the board files as they stood at a time
    Restore(RestoreArguments),
}

/// Arguments of `record`.
#[derive(Debug, Args)]
pub struct RecordArguments {
    /// When the boards were published, for caches of the past: a date or a time [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<Until>,
    /// Print the result as JSON.
    #[command(flatten)]
    pub output: JsonArguments,
}

/// `--json`.
#[derive(Debug, Clone, Copy, Args)]
pub struct JsonArguments {
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// How a question is answered.
#[derive(Debug, Args)]
pub struct AnswerArguments {
    /// Print the result as JSON
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print the result as CSV
    #[arg(long)]
    pub csv: bool,
    /// Where the question is answered.
    #[command(flatten)]
    pub engine: EngineArguments,
}

/// Where a question is answered.
#[derive(Debug, Args)]
pub struct EngineArguments {
    /// Ask a Ballista cluster by the address of its scheduler, such as http://host:50050
    #[arg(long, value_name = "URL")]
    pub cluster: Option<String>,
    /// Give up if there is no answer within this time
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
}

/// Arguments of `board`.
#[derive(Debug, Args)]
pub struct BoardArguments {
    /// The board, as track-class
    pub board: Combination,
    /// A time, or a date for the end of that day in UTC [default: the last version]
    #[arg(long, value_name = "TIME")]
    pub at: Option<Until>,
    /// How to answer.
    #[command(flatten)]
    pub answer: AnswerArguments,
}

/// Arguments of `driver`.
#[derive(Debug, Args)]
#[group(id = "who", required = true, multiple = false, args = ["name", "id"])]
pub struct DriverArguments {
    /// The driver's name, in any case
    pub name: Option<String>,
    /// The driver's id, for names that several drivers have
    #[arg(long)]
    pub id: Option<u64>,
    /// How to answer.
    #[command(flatten)]
    pub answer: AnswerArguments,
}

/// Arguments of `records`.
#[derive(Debug, Args)]
pub struct RecordsArguments {
    /// The board, as track-class
    pub board: Combination,
    /// How to answer.
    #[command(flatten)]
    pub answer: AnswerArguments,
}

/// Arguments of `changes`.
#[derive(Debug, Args)]
pub struct ChangesArguments {
    /// A duration up to now, such as 7d, or a date or time
    #[arg(long, value_name = "TIME", default_value = "1d")]
    pub since: Since,
    /// How to answer.
    #[command(flatten)]
    pub answer: AnswerArguments,
}

/// Arguments of `stats`.
#[derive(Debug, Args)]
pub struct StatsArguments {
    /// List the files that make up the archive, for other query engines
    #[arg(long)]
    pub files: bool,
    /// Print the result as JSON.
    #[command(flatten)]
    pub output: JsonArguments,
}

/// Arguments of `sql`.
#[derive(Debug, Args)]
pub struct SqlArguments {
    /// The query [default: standard input]
    #[arg(allow_hyphen_values = true)]
    pub statement: Option<String>,
    /// Read the query from a file
    #[arg(short, long, value_name = "FILE", conflicts_with = "statement")]
    pub file: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Write the result to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Show how the query is executed, and what each step took, instead of its result
    #[arg(long)]
    pub explain: bool,
    /// Where the query is run.
    #[command(flatten)]
    pub engine: EngineArguments,
}

/// A format of results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people; a long result is split into several tables.
    #[default]
    Table,
    /// Comma-separated values, with a header.
    Csv,
    /// An array with an object for each row.
    Json,
    /// A Parquet file.
    Parquet,
}

/// Arguments of `compact`.
#[derive(Debug, Args)]
pub struct CompactArguments {
    /// Keep replaced files for this long, for queries that still read them
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    pub keep: Duration,
    /// Print the result as JSON.
    #[command(flatten)]
    pub output: JsonArguments,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// A time, or a date for the end of that day in UTC
    #[arg(long, value_name = "TIME")]
    pub at: Until,
    /// The folder to write to, which must be empty or missing
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
    /// Print the result as JSON.
    #[command(flatten)]
    pub output: JsonArguments,
}
