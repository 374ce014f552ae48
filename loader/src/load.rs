//! The job: publish what is there, fetch what is due, publish that.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use r3e_common::domain::Ordinal;
use r3e_common::index::IndexError;
use r3e_common::pipeline::{End, FailedBoard, Fetched, Fetcher, Progress, Published};
use r3e_common::process::config::Config;
use r3e_common::process::job::{Job, JobError, memory_status};
use r3e_common::process::memory;
use r3e_common::process::progress::{Shown, Style};
use r3e_common::store::{FailedFetch, Status, timestamp};
use r3e_common::upstream::Requests;
use tokio_util::sync::CancellationToken;

use crate::plan;
use crate::report::{Boards, Outcome, Summary};

/// What is asked of one run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Ask the service for nothing.
    pub cached_only: bool,
    /// Fetch of these boards those that are due.
    pub only: Option<BTreeSet<Ordinal>>,
    /// How progress is shown.
    pub style: Style,
    /// The time of day.
    pub clock: fn() -> SystemTime,
}

/// Loads. When it returns, no task, connection or timer of it is alive.
///
/// Needs a runtime of several threads. Cancelling `stop` ends it soon, with staged boards kept for the next run.
///
/// # Errors
/// When another writer is at work, the catalogue is no good, or the disk fails. A service that is down, boards that
/// failed and being stopped are outcomes, not errors.
pub async fn load(config: &Config, options: &Options, stop: CancellationToken) -> Result<Summary, JobError> {
    let doing = if options.cached_only { "exporting the cached boards" } else { "loading" };
    let job = Job::open(config, "r3e-loader", doing.to_owned(), options.clock, stop)?;
    tell_leftovers(&job);
    let result = run(&job, config, options).await;
    // However it went: nobody is fetching any more, and nothing stays alive.
    let held = result.as_ref().ok().and_then(|it| it.memory);
    let held = held.as_ref().map_or_else(Status::default, memory_status);
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
    due: usize,
    boards: usize,
    empty: usize,
    failed: Vec<FailedBoard>,
    retried: usize,
    end: Option<End>,
    requests: Requests,
}

async fn run(job: &Job, config: &Config, options: &Options) -> Result<Summary, JobError> {
    let Some(first) = unless_stopped(job.publish().await)? else {
        let stopped = Fetch { end: Some(End::Stopped), ..Fetch::default() };
        return Ok(summary(job, config, None, &stopped));
    };
    if options.cached_only {
        return Ok(summary(job, config, Some(&first), &Fetch::default()));
    }
    let due = plan::due(&first.states, (options.clock)(), config.cache.max_age, options.only.as_ref());
    tracing::info!(due = due.len(), of = job.catalog.len(), "boards that are missing or old");
    let begun = (options.clock)();
    let mut fetch = Fetch::default();
    if !due.is_empty() {
        job.publisher.tell(&Status { fetch_in_progress: Some(true), ..Status::default() });
        fetch = self::fetch(job, config, options, due).await?;
    }
    // What arrived before a stop stays in staging: the next run goes on from there.
    let mut last = first;
    if fetch.boards > 0 && fetch.end != Some(End::Stopped) {
        match unless_stopped(job.publish().await)? {
            Some(published) => last = published,
            None => fetch.end = Some(End::Stopped),
        }
    }
    tell_status(job, options, begun, &fetch)?;
    Ok(summary(job, config, Some(&last), &fetch))
}

/// Being stopped while the index was made is an outcome.
fn unless_stopped(result: Result<Published, JobError>) -> Result<Option<Published>, JobError> {
    match result {
        Ok(published) => Ok(Some(published)),
        Err(JobError::Index(IndexError::Stopped)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Fetches what is due, and what failed once more, with the index exported from time to time meanwhile.
async fn fetch(job: &Job, config: &Config, options: &Options, due: Vec<Ordinal>) -> Result<Fetch, JobError> {
    let fetcher = Fetcher {
        client: Arc::new(job.client(config)?),
        staging: Arc::clone(&job.publisher.staging),
        catalog: Arc::clone(&job.catalog),
        progress: Arc::new(Progress::default()),
        concurrency: config.upstream.concurrency,
        tracker: job.tracker.clone(),
        clock: options.clock,
    };
    let indexing = job.publish_periodically(config.index.every);
    let shown = Shown::start(&job.tracker, Arc::clone(&fetcher.progress), options.style);
    let result = fetch_twice(&fetcher, due, &job.stop).await;
    // Both end with the fetch, whatever became of it.
    shown.stop().await;
    indexing.stop().await;
    Ok(Fetch { requests: fetcher.client.requests(), ..result? })
}

async fn fetch_twice(fetcher: &Fetcher, due: Vec<Ordinal>, stop: &CancellationToken) -> Result<Fetch, JobError> {
    let due_boards = due.len();
    let Fetched { boards, mut empty, mut failed, mut end } = fetcher.fetch(due, stop).await?;
    let (mut boards, mut retried) = (boards.len(), 0);
    if end == End::Complete && !failed.is_empty() {
        tracing::info!(boards = failed.len(), "trying once more what failed");
        retried = failed.len();
        let again = fetcher.fetch(failed.iter().map(|it| it.ordinal).collect(), stop).await?;
        boards += again.boards.len();
        empty += again.empty;
        end = again.end;
        // The newer error counts; a board that was not reached again keeps its first.
        let settled: BTreeSet<Ordinal> =
            again.boards.iter().copied().chain(again.failed.iter().map(|it| it.ordinal)).collect();
        failed.retain(|it| !settled.contains(&it.ordinal));
        failed.extend(again.failed);
    }
    failed.sort_by_key(|it| it.ordinal);
    Ok(Fetch { due: due_boards, boards, empty, failed, retried, end: Some(end), requests: Requests::default() })
}

/// Tells what was fetched, and what was not. With `--only`, what is known of other boards stays.
fn tell_status(job: &Job, options: &Options, begun: SystemTime, fetch: &Fetch) -> Result<(), JobError> {
    let fetched = fetch.end == Some(End::Complete);
    let mut failed = failed_fetches(job, &fetch.failed);
    if let Some(only) = &options.only {
        let other =
            |it: &FailedFetch| it.board().and_then(|it| job.catalog.ordinal(it)).is_some_and(|it| !only.contains(&it));
        failed.extend(job.publisher.status.failed_fetches()?.into_iter().filter(other));
    }
    let status = Status {
        last_scrape_start: fetched.then(|| timestamp(begun)),
        last_scrape_end: fetched.then(|| timestamp((options.clock)())),
        failed_fetch_count: Some(failed.len()),
        failed_fetches: Some(failed),
        retried_fetch_count: Some(fetch.retried),
        ..Status::default()
    };
    Ok(job.publisher.status.update(&status)?)
}

fn failed_fetches(job: &Job, failed: &[FailedBoard]) -> Vec<FailedFetch> {
    let describe = |failed: &FailedBoard| {
        let (track, class) = job.catalog.at(failed.ordinal)?;
        Some(FailedFetch {
            track_name: track.name.clone(),
            track_id: track.id.to_string(),
            class_id: class.id.to_string(),
            error: failed.error.clone(),
            timestamp: timestamp(failed.at),
        })
    };
    failed.iter().filter_map(describe).collect()
}

fn summary(job: &Job, config: &Config, published: Option<&Published>, fetch: &Fetch) -> Summary {
    let outcome = match &fetch.end {
        Some(End::Stopped) => Outcome::Stopped,
        Some(End::Unavailable(why)) => Outcome::Unavailable(why.clone()),
        _ if fetch.failed.is_empty() => Outcome::Done,
        _ => Outcome::SomeBoardsFailed,
    };
    let figures = memory::figures().inspect_err(|error| tracing::warn!(%error, "no memory figures")).ok();
    let totals = job.publisher.totals();
    let count = |of: fn(&Published) -> usize| published.map_or(0, of);
    Summary {
        outcome,
        cache: config.cache.dir.clone(),
        boards: Boards {
            catalogue: job.catalog.len(),
            cached: count(|it| it.boards),
            with_entries: count(|it| it.boards_with_entries),
            due: fetch.due,
            fetched: fetch.boards,
            fetched_empty: fetch.empty,
            promoted: totals.promoted.boards,
            left_by_interrupted_run: job.leftovers.whole,
            kept: totals.promoted.kept.len(),
            damaged: totals.damaged.len(),
            retried: fetch.retried,
            failed: fetch.failed.len(),
        },
        drivers: count(|it| it.drivers),
        entries: count(|it| it.entries),
        entries_without_driver: count(|it| it.nameless),
        failed: failed_fetches(job, &fetch.failed),
        requests: fetch.requests,
        index: published.map(|it| it.exported),
        seconds: job.begun.elapsed().as_secs_f64(),
        memory: figures,
    }
}
