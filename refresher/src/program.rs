//! From the command line to the exit code.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::time::SystemTime;

use r3e_common::domain::{Catalog, Ordinal, TrackId};
use r3e_common::index::BoardState;
use r3e_common::job::run_job;
use r3e_common::job::{Job, JobError, Plan, Scrape, load_catalog};
use r3e_common::runtime::config::Config;
use r3e_common::runtime::exit::{Exit, Failure};
use r3e_common::runtime::periodic::Cadence;
use r3e_common::runtime::program::{self, configure, parse};
use r3e_common::store::Destination;

use crate::cli::{Arguments, Command, IncrementalArguments};
use crate::tokens::{self, Wrong};
use crate::{full, incremental};

/// An incremental refresh exports the index after this many changed boards.
const EXPORT_AFTER: usize = 100;

/// Runs the program: results to standard output, everything else to standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    program::run(|| run(arguments))
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<Exit, Exit> {
    let arguments: Arguments = parse(arguments)?;
    let loaded = configure(&arguments.config, Vec::new())?;
    // Invalid arguments fail before anything is touched.
    let catalog = load_catalog(&loaded.config).map_err(|error| Failure::from(error).report())?;
    let (doing, kind) = match arguments.command {
        Command::Full { fresh } => ("refreshing all boards".to_owned(), Kind::Full { fresh }),
        Command::Boards(asked) => {
            let boards = tokens::chosen(&asked, &catalog).map_err(|wrong| {
                match wrong {
                    Wrong::Unreadable(why) => tracing::error!("{why}"),
                    Wrong::NoBoard => {
                        tracing::error!(
                            "no boards to refresh: expected at least one track (1693) or board (5276-8600)"
                        );
                    }
                }
                Exit::Usage
            })?;
            ("refreshing selected boards".to_owned(), Kind::Boards(boards))
        }
        Command::Incremental(asked) => {
            if let Some(track) = asked.track.filter(|track| catalog.track(*track).is_none()) {
                tracing::error!("--track {track}: not in the catalogue");
                return Err(Exit::Usage);
            }
            ("refreshing the oldest boards".to_owned(), Kind::Incremental(asked))
        }
    };
    drop(catalog);
    let quiet = arguments.config.quiet;
    Ok(run_job(("r3e-refresher", doing), &loaded, arguments.job, quiet, |job, states| {
        kind.plan(&loaded.config, job, states).map(Some)
    }))
}

enum Kind {
    Full { fresh: bool },
    Boards(BTreeSet<Ordinal>),
    Incremental(IncrementalArguments),
}

impl Kind {
    fn plan(self, config: &Config, job: &Job, states: &[BoardState]) -> Result<Plan, JobError> {
        let now = (job.publisher.clock)();
        let staged = Plan {
            boards: Vec::new(),
            scope: None,
            destination: Destination::Staging,
            cadence: Cadence::Every(config.index.every),
            time_limit: None,
            scrape: Scrape::Partial,
        };
        Ok(match self {
            Self::Full { fresh } => {
                let earlier = job.publisher.staging.full_refresh()?.filter(|_| !fresh);
                let full::Full { since, resumed, boards } =
                    full::plan(states, earlier, now, config.refresh.resume_within);
                let (left, of) = (boards.len(), states.len());
                if resumed {
                    let since = r3e_common::runtime::timestamp(since);
                    tracing::info!(left, of, since, "resuming an interrupted full refresh");
                } else {
                    tracing::info!(boards = of, "starting a full refresh");
                }
                Plan { boards, scrape: Scrape::FullRefresh(since), ..staged }
            }
            Self::Boards(boards) => Plan { boards: boards.iter().copied().collect(), scope: Some(boards), ..staged },
            Self::Incremental(IncrementalArguments { track, limit, budget: time_limit }) => {
                let chosen = |ordinal| track.is_none_or(|track| track_of(&job.catalog, ordinal) == Some(track));
                let failed = failed_at(job)?;
                let boards = incremental::oldest(states, chosen, |it| failed.get(&it).copied(), limit, now);
                let scope = Some(boards.iter().copied().collect());
                let cadence = Cadence::Growth { of: job.progress.changed(), by: EXPORT_AFTER };
                Plan { boards, scope, destination: Destination::Cache, cadence, time_limit, ..staged }
            }
        })
    }
}

/// When boards last failed.
fn failed_at(job: &Job) -> Result<BTreeMap<Ordinal, SystemTime>, JobError> {
    let failed = job.publisher.status.failed_fetches()?;
    Ok(failed.iter().filter_map(|it| Some((job.catalog.ordinal(it.board()?)?, it.at()?))).collect())
}

fn track_of(catalog: &Catalog, ordinal: Ordinal) -> Option<TrackId> {
    catalog.at(ordinal).map(|(track, _)| track.id)
}
