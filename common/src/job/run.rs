//! The course of every job: publish staged boards, plan, fetch, publish, summarise.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::report::{Boards, Outcome, Summary};
use super::status::{earlier_failures, failed_fetches, of_memory};
use super::{Job, JobError};
use crate::domain::{Ordinal, Ratings};
use crate::index::BoardState;
use crate::job::progress_bar::{ProgressDisplay, Style};
use crate::job::{Arrivals, End, FailedBoard, Fetched, Fetcher, Published};
use crate::runtime::config::{Config, IndexFormat};
use crate::runtime::control::Facts;
use crate::runtime::memory;
use crate::runtime::memory::limit::Limits;
use crate::runtime::periodic::Cadence;
use crate::runtime::planted;
use crate::runtime::timestamp;
use crate::store::{Destination, Status};
use crate::upstream::{Client, Requests};

/// How long to try to fetch the multiplayer ratings, retries included: the fetched boards wait for them.
const RATINGS_TIMEOUT: Duration = Duration::from_mins(1);

/// Options from the command line and the environment.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the control socket reports.
    pub facts: Arc<Facts>,
    /// What the job does, as reported to other writers.
    pub doing: String,
    /// The memory limits.
    pub limits: Option<Limits>,
    /// How long to wait for another writer.
    pub wait: Duration,
    /// How progress is shown.
    pub style: Style,
    /// The time of day.
    pub clock: fn() -> SystemTime,
}

/// What a job fetches, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The boards, in the order of fetching.
    pub boards: Vec<Ordinal>,
    /// The boards whose earlier failures this run replaces; `None` means all.
    pub scope: Option<BTreeSet<Ordinal>>,
    /// Where changed boards are written.
    pub destination: Destination,
    /// How often the index is exported during the run.
    pub cadence: Cadence,
    /// No board is started after this time.
    pub time_limit: Option<Duration>,
    /// What is recorded in `last_scrape_start` and `last_scrape_end`.
    pub scrape: Scrape,
}

/// What a run records in `last_scrape_start` and `last_scrape_end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrape {
    /// Nothing, because it fetches only some boards.
    Partial,
    /// A load.
    Load,
    /// A full refresh that began at this time, perhaps in an earlier run. It is also recorded in staging until it is finished.
    FullRefresh(SystemTime),
}

/// Runs a job. `plan` is called after staged boards are published; without a plan, nothing is fetched. When this returns, no
/// task, connection or timer of the job is alive.
///
/// Needs a multi-threaded runtime. Cancelling `stop` ends the job soon; fetched boards are kept for the next run.
///
/// # Errors
/// If another writer is at work, the catalogue is invalid, or the file system fails. An unavailable service, failed boards and
/// a stop are outcomes, not errors.
pub async fn run(
    config: &Config,
    options: &Options,
    stop: CancellationToken,
    plan: impl FnOnce(&Job, &[BoardState]) -> Result<Option<Plan>, JobError>,
) -> Result<Summary, JobError> {
    // A child, so that the caller does not mistake the memory limit for a signal.
    let stop = stop.child_token();
    options.facts.set_phase("opening");
    let job = Job::open(config, options, stop).await?;
    log_leftovers(&job);
    let result = work(&job, config, options, plan).await;
    let fetched = result.as_ref().map_or(0, |it| it.boards.fetched);
    planted::leak(options.facts.program(), fetched, &Handle::current());
    // Whatever the result.
    options.facts.set_phase("closing");
    let memory = result.as_ref().ok().and_then(|it| it.memory);
    let memory = memory.as_ref().map_or_else(Status::default, of_memory);
    let updated = job.publisher.status.update(&Status { fetch_in_progress: Some(false), ..memory });
    let closed = job.close().await;
    let summary = result?;
    updated?;
    closed?;
    Ok(summary)
}

fn log_leftovers(job: &Job) {
    let leftovers = &job.leftovers;
    if leftovers.whole > 0 {
        tracing::info!(boards = leftovers.whole, "resuming an interrupted run: promoting its boards");
    }
    if leftovers.outdated > 0 {
        tracing::info!(
            boards = leftovers.outdated,
            "removed boards of an interrupted run that are older than the cached ones"
        );
    }
    for damaged in &leftovers.damaged {
        tracing::warn!(%damaged, "moved a damaged file of an interrupted run aside");
    }
    if let Some(first) = leftovers.foreign.first() {
        let (files, first) = (leftovers.foreign.len(), first.display());
        tracing::warn!(files, %first, "ignoring files in staging that are not boards of the catalogue");
    }
}

/// The result of fetching, including retries.
#[derive(Debug, Default)]
struct Fetch {
    due: BTreeSet<Ordinal>,
    boards: BTreeSet<Ordinal>,
    arrivals: Arrivals,
    failed: Vec<FailedBoard>,
    retried: usize,
    end: Option<End>,
    ratings: Option<Ratings>,
    requests: Requests,
}

impl Fetch {
    /// Counts fetched boards that could not be stored as failed.
    fn fail_refused(&mut self, job: &Job, at: SystemTime) {
        for (board, error) in job.publisher.staging.refused() {
            let Some(ordinal) = job.catalog.ordinal(board) else { continue };
            self.boards.remove(&ordinal);
            if !self.has_failed(ordinal) {
                self.failed.push(FailedBoard { ordinal, error, at });
                self.failed.sort_by_key(|it| it.ordinal);
            }
        }
    }

    fn has_failed(&self, ordinal: Ordinal) -> bool {
        // In catalogue order.
        self.failed.binary_search_by_key(&ordinal, |failed| failed.ordinal).is_ok()
    }

    /// The due boards that were neither fetched nor failed.
    fn not_reached(&self) -> BTreeSet<Ordinal> {
        self.due.iter().copied().filter(|it| !self.boards.contains(it) && !self.has_failed(*it)).collect()
    }
}

async fn work(
    job: &Job,
    config: &Config,
    options: &Options,
    plan: impl FnOnce(&Job, &[BoardState]) -> Result<Option<Plan>, JobError>,
) -> Result<Summary, JobError> {
    let stopped = Fetch { end: Some(End::Stopped), ..Fetch::default() };
    options.facts.set_phase("publishing");
    let Some(states) = job.publish(None).await? else { return Ok(summary(job, config, &stopped)) };
    let Some(plan) = plan(job, &states)? else { return export_only(job, config, options) };
    drop(states);
    let begun = (options.clock)();
    let staging = &job.publisher.staging;
    if let Scrape::FullRefresh(since) = plan.scrape {
        staging.set_full_refresh(Some(since))?;
    }
    let mut fetch = Fetch { end: Some(End::Complete), ..Fetch::default() };
    if !plan.boards.is_empty() {
        job.publisher.update_status(&Status { fetch_in_progress: Some(true), ..Status::default() });
        options.facts.set_phase("fetching");
        fetch = self::fetch(job, config, options, &plan).await?;
    }
    staging.at_work()?;
    // After a stop, staged boards stay for the next run.
    let ratings = fetch.ratings.take();
    if (fetch.arrivals.total() > 0 || ratings.is_some()) && fetch.end != Some(End::Stopped) {
        options.facts.set_phase("publishing");
        if job.publish(ratings).await?.is_none() {
            fetch.end = Some(End::Stopped);
        }
    }
    fetch.fail_refused(job, (options.clock)());
    let since = match plan.scrape {
        _ if fetch.end != Some(End::Complete) => None,
        Scrape::Partial => None,
        Scrape::Load if plan.boards.is_empty() => None,
        Scrape::Load => Some(begun),
        Scrape::FullRefresh(since) => Some(since),
    };
    let in_scope = |ordinal| plan.scope.as_ref().is_none_or(|it| it.contains(&ordinal)) || fetch.has_failed(ordinal);
    update_status(job, options, in_scope, since, &fetch)?;
    if fetch.end == Some(End::Complete) && matches!(plan.scrape, Scrape::FullRefresh(_)) {
        staging.set_full_refresh(None)?;
    }
    Ok(summary(job, config, &fetch))
}

/// Ends a job without a plan.
fn export_only(job: &Job, config: &Config, options: &Options) -> Result<Summary, JobError> {
    let mut fetch = Fetch::default();
    fetch.fail_refused(job, (options.clock)());
    if !fetch.failed.is_empty() {
        update_status(job, options, |ordinal| fetch.has_failed(ordinal), None, &fetch)?;
    }
    Ok(summary(job, config, &fetch))
}

/// Fetches the planned boards, retries failed ones once, exports the index periodically, and then fetches the ratings.
async fn fetch(job: &Job, config: &Config, options: &Options, plan: &Plan) -> Result<Fetch, JobError> {
    let fetcher = Fetcher {
        client: Arc::new(job.client(config)?),
        staging: Arc::clone(&job.publisher.staging),
        destination: plan.destination,
        catalog: Arc::clone(&job.catalog),
        progress: Arc::clone(&job.progress),
        concurrency: config.upstream.concurrency,
        concurrency_limit: job.limiter.concurrency().clone(),
        until: plan.time_limit.and_then(|limit| tokio::time::Instant::now().checked_add(limit)),
        tasks: job.tasks.clone(),
        clock: options.clock,
    };
    let indexing = job.publish_periodically(plan.cadence.clone());
    let display = ProgressDisplay::start(&job.tasks, Arc::clone(&fetcher.progress), options.style);
    let result = fetch_and_retry(&fetcher, plan.boards.clone(), &job.stop).await;
    // Whatever the result.
    display.stop().await;
    indexing.stop().await;
    let mut fetch = result?;
    // No other format has them.
    let are_wanted = config.upstream.ratings && config.index.formats.contains(&IndexFormat::April2026);
    if are_wanted && fetch.end == Some(End::Complete) {
        options.facts.set_phase("fetching ratings");
        fetch.ratings = ratings(&fetcher.client, &job.stop).await;
    }
    fetch.requests = fetcher.client.requests();
    Ok(fetch)
}

/// Fetches the multiplayer ratings. A failure is only logged.
async fn ratings(client: &Client, stop: &CancellationToken) -> Option<Ratings> {
    let fetched = tokio::time::timeout(RATINGS_TIMEOUT, client.ratings());
    let Ok(result) = stop.run_until_cancelled(fetched).await? else {
        tracing::warn!(
            timeout_s = RATINGS_TIMEOUT.as_secs(),
            "no multiplayer ratings in time; the published ones stay"
        );
        return None;
    };
    match result {
        Ok(ratings) => {
            let active = ratings.drivers.iter().filter(|it| it.active).count();
            tracing::info!(drivers = ratings.drivers.len(), active, "multiplayer ratings fetched");
            Some(ratings)
        }
        Err(error) => {
            tracing::warn!(%error, "cannot fetch the multiplayer ratings; the published ones stay");
            None
        }
    }
}

async fn fetch_and_retry(fetcher: &Fetcher, due: Vec<Ordinal>, stop: &CancellationToken) -> Result<Fetch, JobError> {
    let all_due = due.iter().copied().collect();
    let Fetched { boards, mut arrivals, mut failed, mut end } = fetcher.fetch(due, stop).await?;
    let (mut boards, mut retried) = (BTreeSet::from_iter(boards), 0);
    if end == End::Complete && !failed.is_empty() {
        tracing::info!(boards = failed.len(), "retrying failed boards");
        retried = failed.len();
        let again = fetcher.fetch(failed.iter().map(|it| it.ordinal).collect(), stop).await?;
        boards.extend(again.boards);
        arrivals += again.arrivals;
        end = again.end;
        // A newer error replaces the first one.
        let failed_again: BTreeSet<Ordinal> = again.failed.iter().map(|it| it.ordinal).collect();
        failed.retain(|it| !boards.contains(&it.ordinal) && !failed_again.contains(&it.ordinal));
        failed.extend(again.failed);
    }
    failed.sort_by_key(|it| it.ordinal);
    Ok(Fetch { due: all_due, boards, arrivals, failed, retried, end: Some(end), ..Fetch::default() })
}

/// Writes failures to `status.json`, and `since` if a scrape is complete. Earlier failures of boards that are out of scope or
/// were not reached stay.
fn update_status(
    job: &Job,
    options: &Options,
    in_scope: impl Fn(Ordinal) -> bool,
    since: Option<SystemTime>,
    fetch: &Fetch,
) -> Result<(), JobError> {
    let mut failed = failed_fetches(&job.catalog, &fetch.failed);
    failed.extend(earlier_failures(job, in_scope, &fetch.not_reached())?);
    let status = Status {
        last_scrape_start: since.map(timestamp),
        last_scrape_end: since.map(|_| timestamp((options.clock)())),
        failed_fetch_count: Some(failed.len()),
        failed_fetches: Some(failed),
        retried_fetch_count: Some(fetch.retried),
        // Again, in case writing it failed before.
        ..job.publisher.totals().last.map(|it| it.status).unwrap_or_default()
    };
    Ok(job.publisher.status.update(&status)?)
}

fn summary(job: &Job, config: &Config, fetch: &Fetch) -> Summary {
    let outcome = match (&fetch.end, job.limiter.reached()) {
        (Some(End::Stopped), Some(reached)) => Outcome::MemoryLimit(reached.to_string()),
        (Some(End::Stopped), None) => Outcome::Stopped,
        (Some(End::Unavailable(why)), _) => Outcome::Unavailable(why.clone()),
        _ if fetch.failed.is_empty() => Outcome::Done,
        _ => Outcome::SomeBoardsFailed,
    };
    let figures =
        memory::figures().inspect_err(|error| tracing::warn!(%error, "cannot determine the memory in use")).ok();
    let totals = job.publisher.totals();
    let count = |of: fn(&Published) -> usize| totals.last.as_ref().map_or(0, of);
    let Arrivals { changed, unchanged, empty, kept } = fetch.arrivals;
    Summary {
        outcome,
        cache: config.cache.dir.clone(),
        boards: Boards {
            catalogue: job.catalog.len(),
            cached: count(|it| it.boards),
            with_entries: count(|it| it.boards_with_entries),
            due: fetch.due.len(),
            fetched: fetch.arrivals.total(),
            changed,
            unchanged,
            empty,
            kept,
            promoted: totals.promoted.boards,
            left_by_interrupted_run: job.leftovers.whole,
            damaged: totals.damaged.len(),
            retried: fetch.retried,
            failed: fetch.failed.len(),
            not_reached: fetch.not_reached().len(),
        },
        drivers: count(|it| it.drivers),
        entries: count(|it| it.entries),
        entries_without_driver: count(|it| it.nameless),
        failed: failed_fetches(&job.catalog, &fetch.failed),
        requests: fetch.requests,
        index: totals.last.as_ref().map(|it| it.exported),
        seconds: job.begun.elapsed().as_secs_f64(),
        memory: figures,
    }
}
