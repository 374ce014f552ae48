//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use r3e_common::job::JobArgs;
use r3e_common::runtime::config::ConfigArgs;

/// Updates the local copy of the leaderboards, and exports its index.
///
/// Fetches boards that are missing or older than `cache.max_age`. Front ends can read the cache at any time.
#[derive(Debug, Parser)]
#[command(name = "r3e-loader", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Arguments {
    /// A command to run instead of loading.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Only export the index of cached boards; do not contact the service
    #[arg(long, conflicts_with = "only")]
    pub cached_only: bool,
    /// Fetch only these boards, separated by commas: 1693 for all classes of a track; 5276-8600, or the URL of a board, for one board
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
  r3e-loader                                  update ./cache
  r3e-loader --cache /var/lib/r3e/cache       update another cache
  r3e-loader --only 1693,5276-8600            update the boards of one track, and one other board
  r3e-loader --cached-only --json             export the index of cached boards
  r3e-loader --print-config                   show all settings and where each comes from
  r3e-loader catalog diff r3e-data.json       show which tracks and classes are new
  r3e-loader catalog import r3e-data.json -o catalog.toml

Exit codes: 0 done, 1 unexpected, 2 usage, 3 some boards failed, 69 service unavailable, 74 disk failed,
75 another writer is at work or the memory limit was reached, 78 invalid configuration or a memory limit that is too small,
130 and 143 stopped by a signal.";

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List, check, compare or import a catalogue of tracks and classes
    Catalog(CatalogArguments),
}

/// Arguments of `catalog`.
#[derive(Debug, Args)]
pub struct CatalogArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: CatalogCommand,
}

/// Commands for catalogues.
#[derive(Debug, Subcommand)]
pub enum CatalogCommand {
    /// List the tracks and classes of the configured catalogue
    List,
    /// Check a catalogue
    Check {
        /// The catalogue [default: the configured one]
        file: Option<PathBuf>,
    },
    /// Show what a file adds to, removes from and renames in the catalogue in force
    Diff {
        /// A catalogue, or the game publisher's r3e-data.json
        file: PathBuf,
    },
    /// Make a catalogue from the game publisher's r3e-data.json
    Import {
        /// The publisher's file
        file: PathBuf,
        /// Write the catalogue to this file instead of standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}
