//! The way of every job: publish what is there, plan, fetch, publish that, say what it came to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::report::{Boards, Outcome, Summary};
use super::status::{earlier_failures, failed_fetches, of_memory};
use super::{Job, JobError};
use crate::domain::Ordinal;
use crate::index::BoardState;
use crate::job::progress_bar::{ProgressDisplay, Style};
use crate::job::{Arrivals, End, FailedBoard, Fetched, Fetcher, Published};
use crate::runtime::config::Config;
use crate::runtime::control::Facts;
use crate::runtime::memory;
use crate::runtime::memory::limit::Limits;
use crate::runtime::periodic::Cadence;
use crate::runtime::timestamp;
use crate::store::{Destination, Status};
use crate::upstream::Requests;

/// What a job is told by its command line.
#[derive(Debug, Clone)]
pub struct Options {
    /// What others are told of this process.
    pub facts: Arc<Facts>,
    /// What it was started to do, as another writer is told it.
    pub doing: String,
    /// The most that it may hold.
    pub limits: Option<Limits>,
    /// How long to wait for another writer to be done.
    pub wait: Duration,
    /// How progress is shown.
    pub style: Style,
    /// The time of day.
    pub clock: fn() -> SystemTime,
}

/// What a job fetches, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The boards, in the order in which they are asked for.
    pub boards: Vec<Ordinal>,
    /// The boards that the run is about: what earlier runs had to say of their failures is over. With none, all are.
    pub about: Option<BTreeSet<Ordinal>>,
    /// Where boards go that say something new.
    pub destination: Destination,
    /// When the index is exported meanwhile.
    pub cadence: Cadence,
    /// How long boards may be begun; with none, until all are.
    pub budget: Option<Duration>,
    /// Whether `status.json` is told when fetching began and ended.
    pub scrape: Scrape,
}

/// What a run is in `last_scrape_start` and `last_scrape_end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrape {
    /// Nothing: a part of the boards is fetched.
    No,
    /// A load.
    Load,
    /// A full refresh that began then, perhaps in an earlier run. Until it is over the staging folder says so.
    FullRefresh(SystemTime),
}

/// Runs a job. `plan` is asked once the cache is published as it is; with no plan that was all. When this returns, no task,
/// connection or timer of it is alive.
///
/// Needs a runtime of several threads. Cancelling `stop` ends it soon, with what arrived kept for the next run.
///
/// # Errors
/// When another writer is at work, the catalogue is no good, or the disk fails. A service that is down, boards that
/// failed and being stopped are outcomes, not errors.
pub async fn run(
    config: &Config,
    options: &Options,
    stop: CancellationToken,
    plan: impl FnOnce(&Job, &[BoardState]) -> Result<Option<Plan>, JobError>,
) -> Result<Summary, JobError> {
    // Its own, that others do not take a memory limit for a signal.
    let stop = stop.child_token();
    options.facts.set_phase("opening");
    let job = Job::open(config, options, stop).await?;
    tell_leftovers(&job);
    let result = work(&job, config, options, plan).await;
    // However it went: nobody is fetching any more, and nothing stays alive.
    options.facts.set_phase("closing");
    let held = result.as_ref().ok().and_then(|it| it.memory);
    let held = held.as_ref().map_or_else(Status::default, of_memory);
    let told = job.publisher.status.update(&Status { fetch_in_progress: Some(false), ..held });
    let closed = job.close().await;
    let summary = result?;
    told?;
    closed?;
    Ok(summary)
}

fn tell_leftovers(job: &Job) {
    let leftovers = &job.leftovers;
    if leftovers.whole > 0 {
        tracing::info!(boards = leftovers.whole, "going on where an interrupted run was: its boards are promoted");
    }
    if leftovers.outdated > 0 {
        tracing::info!(
            boards = leftovers.outdated,
            "left by an interrupted run and older than the cache by now: removed"
        );
    }
    for damaged in &leftovers.damaged {
        tracing::warn!("left in staging by an interrupted run, and moved aside: {damaged}");
    }
    if let Some(first) = leftovers.foreign.first() {
        let (files, first) = (leftovers.foreign.len(), first.display());
        tracing::warn!(files, %first, "files in staging that are no boards of the catalogue: left alone");
    }
}

/// What fetching came to, retries included.
#[derive(Debug, Default)]
struct Fetch {
    due: BTreeSet<Ordinal>,
    boards: BTreeSet<Ordinal>,
    arrivals: Arrivals,
    failed: Vec<FailedBoard>,
    retried: usize,
    end: Option<End>,
    requests: Requests,
}

impl Fetch {
    /// Counts boards that the file system refused as failed: those that arrived, and could not be put where they belong.
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

    /// The boards that were due and are neither fetched nor failed.
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
    let Some(states) = job.publish().await? else { return Ok(summary(job, config, &stopped)) };
    let Some(plan) = plan(job, &states)? else { return export_only(job, config, options) };
    drop(states);
    let begun = (options.clock)();
    let staging = &job.publisher.staging;
    if let Scrape::FullRefresh(since) = plan.scrape {
        staging.set_full_refresh(Some(since))?;
    }
    let mut fetch = Fetch { end: Some(End::Complete), ..Fetch::default() };
    if !plan.boards.is_empty() {
        job.publisher.tell(&Status { fetch_in_progress: Some(true), ..Status::default() });
        options.facts.set_phase("fetching");
        fetch = self::fetch(job, config, options, &plan).await?;
    }
    staging.at_work()?;
    // What arrived in staging before a stop stays there: the next run goes on from there.
    if fetch.arrivals.total() > 0 && fetch.end != Some(End::Stopped) {
        options.facts.set_phase("publishing");
        if job.publish().await?.is_none() {
            fetch.end = Some(End::Stopped);
        }
    }
    fetch.fail_refused(job, (options.clock)());
    let since = match plan.scrape {
        _ if fetch.end != Some(End::Complete) => None,
        Scrape::No => None,
        Scrape::Load if plan.boards.is_empty() => None,
        Scrape::Load => Some(begun),
        Scrape::FullRefresh(since) => Some(since),
    };
    let about = |ordinal| plan.about.as_ref().is_none_or(|it| it.contains(&ordinal)) || fetch.has_failed(ordinal);
    tell_status(job, options, about, since, &fetch)?;
    if fetch.end == Some(End::Complete) && matches!(plan.scrape, Scrape::FullRefresh(_)) {
        staging.set_full_refresh(None)?;
    }
    Ok(summary(job, config, &fetch))
}

/// The end of a job that asks the service for nothing.
fn export_only(job: &Job, config: &Config, options: &Options) -> Result<Summary, JobError> {
    let mut fetch = Fetch::default();
    fetch.fail_refused(job, (options.clock)());
    if !fetch.failed.is_empty() {
        tell_status(job, options, |ordinal| fetch.has_failed(ordinal), None, &fetch)?;
    }
    Ok(summary(job, config, &fetch))
}

/// Fetches what is planned, and what failed once more, with the index exported from time to time meanwhile.
async fn fetch(job: &Job, config: &Config, options: &Options, plan: &Plan) -> Result<Fetch, JobError> {
    let fetcher = Fetcher {
        client: Arc::new(job.client(config)?),
        staging: Arc::clone(&job.publisher.staging),
        destination: plan.destination,
        catalog: Arc::clone(&job.catalog),
        progress: Arc::clone(&job.progress),
        concurrency: config.upstream.concurrency,
        concurrency_limit: job.limiter.concurrency().clone(),
        until: plan.budget.and_then(|budget| tokio::time::Instant::now().checked_add(budget)),
        tasks: job.tasks.clone(),
        clock: options.clock,
    };
    let indexing = job.publish_periodically(plan.cadence.clone());
    let display = ProgressDisplay::start(&job.tasks, Arc::clone(&fetcher.progress), options.style);
    let result = fetch_twice(&fetcher, plan.boards.clone(), &job.stop).await;
    // Both end with the fetch, whatever became of it.
    display.stop().await;
    indexing.stop().await;
    Ok(Fetch { requests: fetcher.client.requests(), ..result? })
}

async fn fetch_twice(fetcher: &Fetcher, due: Vec<Ordinal>, stop: &CancellationToken) -> Result<Fetch, JobError> {
    let all_due = due.iter().copied().collect();
    let Fetched { boards, mut arrivals, mut failed, mut end } = fetcher.fetch(due, stop).await?;
    let (mut boards, mut retried) = (BTreeSet::from_iter(boards), 0);
    if end == End::Complete && !failed.is_empty() {
        tracing::info!(boards = failed.len(), "trying once more what failed");
        retried = failed.len();
        let again = fetcher.fetch(failed.iter().map(|it| it.ordinal).collect(), stop).await?;
        boards.extend(again.boards);
        arrivals += again.arrivals;
        end = again.end;
        // The newer error counts; a board that was not reached again keeps its first.
        let failed_again: BTreeSet<Ordinal> = again.failed.iter().map(|it| it.ordinal).collect();
        failed.retain(|it| !boards.contains(&it.ordinal) && !failed_again.contains(&it.ordinal));
        failed.extend(again.failed);
    }
    failed.sort_by_key(|it| it.ordinal);
    Ok(Fetch { due: all_due, boards, arrivals, failed, retried, end: Some(end), requests: Requests::default() })
}

/// Tells what was fetched, and what was not; of a scrape that is complete, when it began. What is known of boards that this
/// run was not about, or did not reach, stays.
fn tell_status(
    job: &Job,
    options: &Options,
    about: impl Fn(Ordinal) -> bool,
    since: Option<SystemTime>,
    fetch: &Fetch,
) -> Result<(), JobError> {
    let mut failed = failed_fetches(&job.catalog, &fetch.failed);
    failed.extend(earlier_failures(job, about, &fetch.not_reached())?);
    let status = Status {
        last_scrape_start: since.map(timestamp),
        last_scrape_end: since.map(|_| timestamp((options.clock)())),
        failed_fetch_count: Some(failed.len()),
        failed_fetches: Some(failed),
        retried_fetch_count: Some(fetch.retried),
        // Told before, where that could be written.
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
    let figures = memory::figures().inspect_err(|error| tracing::warn!(%error, "no memory figures")).ok();
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
