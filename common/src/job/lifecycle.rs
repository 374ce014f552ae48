//! The beginning and the end of a job: the writer's lock, the catalogue, the publisher, its tasks; and an end at which nothing of it is
//! alive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::JobError;
use super::progress::{Progress, Snapshot};
use super::publish::{HeadroomNow, PublishError, Publisher};
use super::run::Options;
use super::status;
use crate::domain::Catalog;
use crate::index::{BoardState, Headroom, IndexError};
use crate::runtime::config::Config;
use crate::runtime::control::{BoardsProgress, Facts};
use crate::runtime::memory::limit::Limits;
use crate::runtime::memory::limiter::MemoryLimiter;
use crate::runtime::memory::pressure::Role;
use crate::runtime::memory::{self, Purged};
use crate::runtime::periodic::{Cadence, Periodic};
use crate::runtime::tasks::Tasks;
use crate::runtime::{fs, timestamp};
use crate::store::{Cache, Holder, Leftovers, LockError, Staging, Status, StatusFile, WriterLock};
use crate::upstream::Client;

/// The most bytes of a catalogue file.
const MAX_CATALOG_BYTES: u64 = 64 << 20;

/// How long the last tasks and connections may take to end when a job is over.
const CLOSING: Duration = Duration::from_secs(5);

/// How often a job that waits for another writer looks whether it is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The catalogue that the configuration asks for.
///
/// # Errors
/// When its file cannot be read or is no catalogue.
pub fn load_catalog(config: &Config) -> Result<Catalog, JobError> {
    let Some(path) = &config.catalog.path else { return Ok(Catalog::builtin()) };
    let text = fs::read_text(path, MAX_CATALOG_BYTES).map_err(JobError::CatalogFile)?;
    Catalog::from_toml(&text).map_err(|cause| JobError::Catalog { path: path.clone(), cause })
}

/// A job at work.
#[derive(Debug)]
pub struct Job {
    /// The boards there are.
    pub catalog: Arc<Catalog>,
    /// The gate into the cache.
    pub publisher: Arc<Publisher>,
    /// What every task is spawned on.
    pub tasks: Tasks,
    /// How far it is.
    pub progress: Arc<Progress>,
    /// Ends the job.
    pub stop: CancellationToken,
    /// What an interrupted run had left in staging.
    pub leftovers: Leftovers,
    /// When it began.
    pub begun: Instant,
    /// What others are told of it.
    pub facts: Arc<Facts>,
    /// Keeps it below its memory limits.
    pub limiter: MemoryLimiter,
    limits: Option<Limits>,
    memory: Periodic,
    tasks_before: usize,
}

impl Job {
    /// Takes the writer's lock, checks what an interrupted run left, and begins to purge from time to time.
    ///
    /// # Errors
    /// When the memory limit is too small for any index, another writer is at work, the catalogue is no good, or the file
    /// system refuses.
    pub async fn open(config: &Config, options: &Options, stop: CancellationToken) -> Result<Self, JobError> {
        let begun = Instant::now();
        let tasks_before = Handle::current().metrics().num_alive_tasks();
        let catalog = Arc::new(load_catalog(config)?);
        let limits = options.limits.clone();
        if let Some(limits) = &limits {
            check_limit(limits, &Cache::new(&config.cache.dir), &catalog)?;
        }
        // From here on: what an interrupted run left may be large.
        let role = Role::Job { boards: config.upstream.concurrency };
        let limiter = MemoryLimiter::start(limits.clone(), role, Handle::current(), stop.clone())
            .map_err(JobError::MemoryLimiter)?;
        let lock = lock(config, options, &stop).await?;
        let known = |board| catalog.ordinal(board).is_some();
        let cache = &config.cache.dir;
        let (folder, now) = (&config.cache.staging_dir, (options.clock)());
        let (staging, leftovers) = Staging::open(lock, folder, Cache::new(cache), known, now, &stop)?;
        let status = StatusFile::new(cache);
        // Whoever said so was killed: there is no other writer.
        status.update(&Status { fetch_in_progress: Some(false), ..Status::default() })?;
        let publisher = Publisher {
            staging: Arc::new(staging),
            catalog: Arc::clone(&catalog),
            status,
            plain: config.index.plain,
            threads: threads(),
            headroom: headroom(limits.clone()),
            give_back: memory::give_back,
            clock: options.clock,
            totals: std::sync::Mutex::default(),
        };
        let (tasks, progress) = (Tasks::default(), Arc::new(Progress::new()));
        let facts = Arc::clone(&options.facts);
        tell(&facts, &tasks, &progress);
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

    /// The client that the configuration asks for.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn client(&self, config: &Config) -> Result<Client, JobError> {
        Ok(Client::new(&config.upstream, fastrand::u64(..), self.publisher.clock)?)
    }

    /// Publishes what is staged; see [`Publisher::publish`]. Nothing where it was stopped before it was done.
    ///
    /// # Errors
    /// When the file system refuses, or there is not enough memory.
    pub async fn publish(&self) -> Result<Option<Vec<BoardState>>, JobError> {
        let (publisher, stop, runtime) = (Arc::clone(&self.publisher), self.stop.clone(), Handle::current());
        let publishing =
            self.tasks.spawn_blocking("publishing", move || publish_and_purge(&publisher, &runtime, &stop));
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

    /// Publishes in that cadence until it is stopped. What goes wrong is logged: the last publication of the job tells it by
    /// its exit code.
    #[must_use]
    pub fn publish_periodically(&self, cadence: Cadence) -> Periodic {
        let (publisher, runtime) = (Arc::clone(&self.publisher), Handle::current());
        let names = ("periodic indexing", Some("⏹️ Periodic indexing task exiting"));
        Periodic::start(&self.tasks, &self.stop, cadence, names, move |stop| {
            match publish_and_purge(&publisher, &runtime, stop) {
                Ok(_) | Err(PublishError::Index(IndexError::Stopped)) => {}
                Err(error) => tracing::error!(%error, "the periodic index was not exported"),
            }
        })
    }

    /// Ends all that is left: tasks, and connections of clients that were dropped before. Says so where one stays.
    ///
    /// # Errors
    /// When the file system refuses.
    pub async fn close(self) -> Result<(), JobError> {
        let Self { publisher, tasks, memory, facts, limiter, tasks_before, .. } = self;
        memory.stop().await;
        drop(limiter);
        facts.set_progress(None);
        facts.set_tasks(None);
        let closing = async {
            tasks.ended().await;
            // A connection's task ends by itself soon after its client was dropped, and nobody holds a handle of it.
            let metrics = Handle::current().metrics();
            while metrics.num_alive_tasks() > tasks_before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            let alive = Handle::current().metrics().num_alive_tasks().saturating_sub(tasks_before);
            let names: Vec<_> = tasks.list().iter().map(|it| it.name).collect();
            tracing::error!(alive, ?names, "tasks or connections are still alive after {CLOSING:?}");
        }
        Ok(publisher.staging.tidy()?)
    }
}

/// The writer's lock, waited for as long as the options say.
async fn lock(config: &Config, options: &Options, stop: &CancellationToken) -> Result<WriterLock, JobError> {
    let Options { facts, doing, clock, wait, .. } = options;
    let (cache, staging) = (&config.cache.dir, &config.cache.staging_dir);
    let begun = Instant::now();
    let mut told = false;
    loop {
        let since = timestamp(clock());
        let holder =
            Holder { program: facts.program().to_owned(), pid: std::process::id(), since, doing: doing.clone() };
        match WriterLock::acquire(cache, staging, &holder) {
            Err(busy @ LockError::Busy { .. }) if begun.elapsed() < *wait => {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!(wait = %humantime::format_duration(*wait), "waiting: {busy}");
                }
                let pause = tokio::time::sleep(LOOK_AGAIN.min(*wait));
                if stop.run_until_cancelled(pause).await.is_none() {
                    return Err(JobError::StoppedWaiting);
                }
            }
            result => return Ok(result?),
        }
    }
}

/// Publishes, then gives back what that took, where the older program forced a collection.
fn publish_and_purge(
    publisher: &Publisher,
    runtime: &Handle,
    stop: &CancellationToken,
) -> Result<Vec<BoardState>, PublishError> {
    let result = publisher.publish(stop);
    // Also what was held for an index that was not to be.
    if let Some(purged) = purge(runtime) {
        publisher.tell(&status::of_memory(&purged.after));
    }
    result
}

fn purge(runtime: &Handle) -> Option<Purged> {
    memory::purge_all(runtime).inspect_err(|error| tracing::warn!(%error, "no purge")).ok()
}

/// What an index may take below the limits, each time it is asked. What was freed before is given back first.
fn headroom(limits: Option<Limits>) -> HeadroomNow {
    HeadroomNow(Arc::new(move || {
        let limits = limits.as_ref()?;
        memory::give_back();
        let usage = limits.usage().inspect_err(|error| tracing::error!(%error, "cannot read how much memory is left"));
        // Without the kernel's figures no limit can be kept, and nothing is to be held.
        Some(usage.map_or(0, |usage| usage.headroom_bytes()))
    }))
}

/// Refuses a limit in which no index of this catalogue can be made whatever happens, before there is anything to be stopped.
fn check_limit(limits: &Limits, cache: &Cache, catalog: &Catalog) -> Result<(), JobError> {
    let least = Headroom::least(catalog);
    let headroom = limits.usage().map_err(JobError::Figures)?.own.headroom_bytes();
    if headroom < least { Err(not_enough(limits, least, cache, catalog)) } else { Ok(()) }
}

/// The error for an index that takes so many bytes at least, which there are not. All boards are looked at, so that the limit that
/// it names is enough for them.
fn not_enough(limits: &Limits, needed: u64, cache: &Cache, catalog: &Catalog) -> JobError {
    let for_boards = match Headroom::least_for(cache, catalog, threads()) {
        Ok(bytes) => bytes,
        Err(error) => return error.into(),
    };
    match limits.usage() {
        Ok(usage) => JobError::Memory(usage.not_enough(needed.max(for_boards))),
        Err(error) => JobError::Figures(error),
    }
}

/// Threads that do what takes processor time.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// Lets the control socket tell what the job is at.
fn tell(facts: &Facts, tasks: &Tasks, progress: &Arc<Progress>) {
    facts.list_tasks(tasks);
    let progress = Arc::clone(progress);
    facts.set_progress(Some(Arc::new(move || {
        let Snapshot { total, fetched, failed, entries } = progress.snapshot();
        let [total, fetched, failed, entries] = [total, fetched, failed, entries].map(|it| it as u64);
        BoardsProgress { total, fetched, failed, entries }
    })));
}
