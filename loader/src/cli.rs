//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use r3e_common::job::JobArgs;
use r3e_common::runtime::config::ConfigArgs;

/// Brings the local copy of the leaderboards up to date, and exports its index.
///
/// Boards that are missing or older than `cache.max_age` are fetched; front ends can read the cache all the while.
#[derive(Debug, Parser)]
#[command(name = "r3e-loader", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do instead of loading.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Only export what is in the cache already; ask the service for nothing
    #[arg(long, conflicts_with = "only")]
    pub cached_only: bool,
    /// Fetch these boards only: 1693 for all classes of a track; 5276-8600, or the URL of a board, for one board; split by commas
    #[arg(long, value_name = "BOARDS", allow_hyphen_values = true)]
    pub only: Option<String>,
    /// The flags of every job.
    #[command(flatten)]
    pub job: JobArgs,
    /// The configuration's flags.
    #[command(flatten)]
    pub config: ConfigArgs,
}

const EXAMPLES: &str = "\
Examples:
  r3e-loader                                  bring ./cache up to date
  r3e-loader --cache /var/lib/r3e/cache       … another cache
  r3e-loader --only 1693,5276-8600            … for one track, and one board more
  r3e-loader --cached-only --json             export the index of what is there
  r3e-loader --print-config                   show every setting, and where it comes from
  r3e-loader catalog diff r3e-data.json       show which tracks and classes are new
  r3e-loader catalog import r3e-data.json -o catalog.toml

Exit codes: 0 done, 1 unexpected, 2 usage, 3 some boards failed, 69 service unavailable, 74 disk failed,
75 another writer is at work or the memory limit was reached, 78 configuration or a memory limit that is too small,
130 and 143 stopped by a signal.";

/// What the loader does beside loading.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at catalogues of tracks and classes
    Catalog(CatalogArguments),
}

/// Arguments of `catalog`.
#[derive(Debug, Args)]
pub struct CatalogArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: CatalogCommand,
}

/// What can be done with catalogues.
#[derive(Debug, Subcommand)]
pub enum CatalogCommand {
    /// List the tracks and classes of the catalogue in force
    List,
    /// Check a catalogue, and say what is wrong with it
    Check {
        /// The catalogue [default: the one in force]
        file: Option<PathBuf>,
    },
    /// Show what a file adds to, removes from and renames in the catalogue in force
    Diff {
        /// A catalogue, or the game publisher's r3e-data.json
        file: PathBuf,
    },
    /// Make a catalogue of the game publisher's r3e-data.json
    Import {
        /// The publisher's file
        file: PathBuf,
        /// Write the catalogue to this file instead of standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}
