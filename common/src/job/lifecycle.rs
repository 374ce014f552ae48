//! How a job begins and ends: the writer's lock, catalogue, publisher and tasks, all released at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::JobError;
use super::progress::{Progress, Snapshot};
use super::publish::{HeadroomNow, PublishError, Publisher};
use super::run::Options;
use super::status;
use crate::domain::{Catalog, Ratings};
use crate::index::{BoardState, Headroom, IndexError};
use crate::runtime::config::Config;
use crate::runtime::control::{BoardsProgress, Facts};
use crate::runtime::memory::limit::Limits;
use crate::runtime::memory::limiter::MemoryLimiter;
use crate::runtime::memory::pressure::Role;
use crate::runtime::memory::{self, Purged};
use crate::runtime::periodic::{Cadence, Periodic};
use crate::runtime::tasks::{self, Tasks};
use crate::runtime::{fs, timestamp};
use crate::store::{Cache, Holder, Leftovers, LockError, Staging, Status, StatusFile, WriterLock};
use crate::upstream::Client;

const MAX_CATALOG_BYTES: u64 = 64 << 20;

/// How long the last tasks and connections may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a waiting job tries to take the writer's lock.
const LOCK_RETRY: Duration = Duration::from_millis(100);

/// The configured catalogue.
///
/// # Errors
/// If its file cannot be read or is invalid.
pub fn load_catalog(config: &Config) -> Result<Catalog, JobError> {
    let Some(path) = &config.catalog.path else { return Ok(Catalog::builtin()) };
    let text = fs::read_text(path, MAX_CATALOG_BYTES).map_err(JobError::CatalogFile)?;
    Catalog::from_toml(&text).map_err(|cause| JobError::Catalog { path: path.clone(), cause })
}

/// A running job.
#[derive(Debug)]
pub struct Job {
    /// All boards.
    pub catalog: Arc<Catalog>,
    /// Publishes boards and index.
    pub publisher: Arc<Publisher>,
    /// Tracks all tasks.
    pub tasks: Tasks,
    /// Counts fetched boards.
    pub progress: Arc<Progress>,
    /// Ends the job.
    pub stop: CancellationToken,
    /// What an interrupted run left in staging.
    pub leftovers: Leftovers,
    /// When the job began.
    pub begun: Instant,
    /// What the control socket reports.
    pub facts: Arc<Facts>,
    /// Keeps the process below its memory limits.
    pub limiter: MemoryLimiter,
    limits: Option<Limits>,
    memory: Periodic,
    tasks_before: usize,
}

impl Job {
    /// Takes the writer's lock, checks what an interrupted run left, and starts periodic purges.
    ///
    /// # Errors
    /// If the memory limit is too small for any index, another writer is at work, the catalogue is invalid, or the file system
    /// fails.
    pub async fn open(config: &Config, options: &Options, stop: CancellationToken) -> Result<Self, JobError> {
        let begun = Instant::now();
        let tasks_before = Handle::current().metrics().num_alive_tasks();
        let catalog = Arc::new(load_catalog(config)?);
        let limits = options.limits.clone();
        if let Some(limits) = &limits {
            check_limit(limits, &Cache::new(&config.cache.dir), &catalog)?;
        }
        // Before checking leftovers, which may be large.
        let role = Role::Job { boards: config.upstream.concurrency };
        let limiter = MemoryLimiter::start(limits.clone(), role, Handle::current(), stop.clone())
            .map_err(JobError::MemoryLimiter)?;
        let lock = lock(config, options, &stop).await?;
        let known = |board| catalog.ordinal(board).is_some();
        let cache = &config.cache.dir;
        let (folder, now) = (&config.cache.staging_dir, (options.clock)());
        let (staging, leftovers) = Staging::open(lock, folder, Cache::new(cache), known, now, &stop)?;
        let status = StatusFile::new(cache);
        // A killed run may have left it true.
        status.update(&Status { fetch_in_progress: Some(false), ..Status::default() })?;
        let publisher = Publisher {
            staging: Arc::new(staging),
            catalog: Arc::clone(&catalog),
            status,
            plain: config.index.plain,
            formats: config.index.formats.clone(),
            threads: threads(),
            headroom: headroom(limits.clone()),
            purge: memory::purge_or_log,
            clock: options.clock,
            totals: std::sync::Mutex::default(),
        };
        let (tasks, progress) = (Tasks::default(), Arc::new(Progress::new()));
        let facts = Arc::clone(&options.facts);
        report_progress(&facts, &tasks, &progress);
        let memory = memory::purge_periodically(&tasks, &stop, config.memory.purge_every);
        let publisher = Arc::new(publisher);
        Ok(Self {
            catalog,
            publisher,
            tasks,
            progress,
            stop,
            leftovers,
            begun,
            facts,
            limiter,
            limits,
            memory,
            tasks_before,
        })
    }

    /// Builds the client.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn client(&self, config: &Config) -> Result<Client, JobError> {
        Ok(Client::new(&config.upstream, fastrand::u64(..), self.publisher.clock)?)
    }

    /// Publishes staged boards and new ratings; see [`Publisher::publish`]. Returns `None` if it was stopped.
    ///
    /// # Errors
    /// If the file system fails, or there is not enough memory.
    pub async fn publish(&self, ratings: Option<Ratings>) -> Result<Option<Vec<BoardState>>, JobError> {
        let (publisher, stop, runtime) = (Arc::clone(&self.publisher), self.stop.clone(), Handle::current());
        let publish = move || publish_and_purge(&publisher, ratings.as_ref(), &runtime, &stop);
        let publishing = self.tasks.spawn_blocking("publishing", publish);
        match publishing.await? {
            Ok(done) => Ok(Some(done)),
            Err(PublishError::Index(IndexError::Stopped)) => Ok(None),
            Err(error) => Err(match (&self.limits, error) {
                (Some(limits), PublishError::Index(IndexError::HeadroomTooSmall { needed, .. })) => {
                    not_enough(limits, needed, self.publisher.staging.cache(), &self.catalog)
                }
                (_, error) => error.into(),
            }),
        }
    }

    /// Publishes periodically until stopped. Failures are only logged, since the job publishes once more at its end.
    #[must_use]
    pub fn publish_periodically(&self, cadence: Cadence) -> Periodic {
        let (publisher, runtime) = (Arc::clone(&self.publisher), Handle::current());
        let names = ("periodic indexing", Some("⏹️ Periodic indexing task exiting"));
        Periodic::start(&self.tasks, &self.stop, cadence, names, move |stop| {
            match publish_and_purge(&publisher, None, &runtime, stop) {
                Ok(_) | Err(PublishError::Index(IndexError::Stopped)) => {}
                Err(error) => tracing::error!(%error, "cannot export the periodic index"),
            }
        })
    }

    /// Waits for all tasks and connections to end, and logs if some do not.
    ///
    /// # Errors
    /// If the file system fails.
    pub async fn close(self) -> Result<(), JobError> {
        let Self { publisher, tasks, memory, facts, limiter, tasks_before, .. } = self;
        memory.stop().await;
        drop(limiter);
        facts.set_progress(None);
        facts.set_tasks(None);
        let closing = async {
            tasks.ended().await;
            // The task of a connection ends soon after its client is dropped.
            tasks::at_most(tasks_before).await;
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            let alive = Handle::current().metrics().num_alive_tasks().saturating_sub(tasks_before);
            let names: Vec<_> = tasks.list().iter().map(|it| it.name).collect();
            tracing::error!(alive, ?names, "tasks or connections did not end in time");
        }
        Ok(publisher.staging.tidy()?)
    }
}

/// Takes the writer's lock, and waits for it as long as `options.wait`.
async fn lock(config: &Config, options: &Options, stop: &CancellationToken) -> Result<WriterLock, JobError> {
    let Options { facts, doing, clock, wait, .. } = options;
    let (cache, staging) = (&config.cache.dir, &config.cache.staging_dir);
    let begun = Instant::now();
    let mut logged = false;
    loop {
        let since = timestamp(clock());
        let holder =
            Holder { program: facts.program().to_owned(), pid: std::process::id(), since, doing: doing.clone() };
        match WriterLock::acquire(cache, staging, &holder) {
            Err(busy @ LockError::Busy { .. }) if begun.elapsed() < *wait => {
                if !std::mem::replace(&mut logged, true) {
                    tracing::info!(wait = %humantime::format_duration(*wait), %busy, "waiting for the writer's lock");
                }
                let pause = tokio::time::sleep(LOCK_RETRY.min(*wait));
                if stop.run_until_cancelled(pause).await.is_none() {
                    return Err(JobError::StoppedWaiting);
                }
            }
            result => return Ok(result?),
        }
    }
}

/// Publishes, then purges memory.
fn publish_and_purge(
    publisher: &Publisher,
    ratings: Option<&Ratings>,
    runtime: &Handle,
    stop: &CancellationToken,
) -> Result<Vec<BoardState>, PublishError> {
    let result = publisher.publish(ratings, stop);
    // Even after a failure.
    if let Some(purged) = purge(runtime) {
        publisher.update_status(&status::of_memory(&purged.after));
    }
    result
}

fn purge(runtime: &Handle) -> Option<Purged> {
    memory::purge_all(runtime).inspect_err(|error| tracing::warn!(%error, "cannot purge memory")).ok()
}

/// Determines the index's headroom, after returning freed memory to the kernel.
fn headroom(limits: Option<Limits>) -> HeadroomNow {
    HeadroomNow(Arc::new(move || {
        let limits = limits.as_ref()?;
        memory::purge_or_log();
        let usage = limits.usage().inspect_err(|error| tracing::error!(%error, "cannot determine the memory in use"));
        // Then the limit cannot be enforced, so there is no headroom.
        Some(usage.map_or(0, |usage| usage.headroom_bytes()))
    }))
}

/// Fails early if the memory limit is too small for any index of this catalogue.
fn check_limit(limits: &Limits, cache: &Cache, catalog: &Catalog) -> Result<(), JobError> {
    let least = Headroom::least(catalog);
    let headroom = limits.usage().map_err(JobError::Figures)?.own.headroom_bytes();
    if headroom < least { Err(not_enough(limits, least, cache, catalog)) } else { Ok(()) }
}

/// The error for an index that needs `needed` bytes. It examines all boards, so that the limit it names is enough for them.
fn not_enough(limits: &Limits, needed: u64, cache: &Cache, catalog: &Catalog) -> JobError {
    let for_boards = match Headroom::least_for(cache, catalog, threads()) {
        Ok(bytes) => bytes,
        Err(error) => return error.into(),
    };
    match limits.usage() {
        Ok(usage) => JobError::Memory(usage.insufficient(needed.max(for_boards))),
        Err(error) => JobError::Figures(error),
    }
}

/// The number of threads for CPU-bound work.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// Reports tasks and progress on the control socket.
fn report_progress(facts: &Facts, tasks: &Tasks, progress: &Arc<Progress>) {
    facts.set_tasks(Some(tasks.clone()));
    let progress = Arc::clone(progress);
    facts.set_progress(Some(Arc::new(move || {
        let Snapshot { total, fetched, failed, entries } = progress.snapshot();
        let [total, fetched, failed, entries] = [total, fetched, failed, entries].map(|it| it as u64);
        BoardsProgress { total, fetched, failed, entries }
    })));
}
