//! What every job has: the writer's lock, the catalogue, the gate into the cache, one tracker for its tasks, and an end
//! at which nothing of it is alive.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::Config;
use super::exit::Exit;
use super::memory;
use crate::domain::{Catalog, CatalogError};
use crate::index::IndexError;
use crate::pipeline::{FetchFault, Periodic, PublishError, Published, Publisher};
use crate::store::{self, Cache, Holder, Leftovers, LockError, Staging, Status, StatusFile, StoreError, WriterLock};
use crate::upstream::{Client, Settings, SetupError};

/// The most bytes of a catalogue file.
const MAX_CATALOG_BYTES: u64 = 64 << 20;

/// How long the last tasks and connections may take to end when a job is over.
const CLOSING: Duration = Duration::from_secs(5);

/// Why a job did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The catalogue cannot be used.
    #[error("catalog.path = {}: {cause}", path.display())]
    Catalog {
        /// The catalogue's file.
        path: PathBuf,
        /// What is wrong with it.
        cause: CatalogError,
    },
    /// The catalogue cannot be read.
    #[error("catalog.path: {0}")]
    CatalogFile(StoreError),
    /// Another writer is at work, or the lock could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file system refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The client cannot be set up.
    #[error(transparent)]
    Client(#[from] SetupError),
    /// A task of the job panicked; its message stands above.
    #[error("a task panicked: {0}")]
    Panicked(tokio::task::JoinError),
}

impl From<FetchFault> for JobError {
    fn from(error: FetchFault) -> Self {
        match error {
            FetchFault::Store(error) => error.into(),
            FetchFault::Panicked(error) => Self::Panicked(error),
        }
    }
}

impl From<PublishError> for JobError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Store(error) | PublishError::Index(IndexError::Store(error)) => error.into(),
            PublishError::Index(error) => error.into(),
        }
    }
}

impl JobError {
    /// The exit code that tells this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Catalog { .. } | Self::CatalogFile(_) => Exit::Configuration,
            Self::Lock(LockError::Busy { .. }) | Self::Index(IndexError::BudgetTooSmall { .. }) => Exit::TryAgain,
            Self::Lock(LockError::Store(_)) | Self::Store(_) | Self::Index(IndexError::Store(_)) => Exit::Disk,
            Self::Index(IndexError::Stopped | IndexError::TooMany(_)) | Self::Client(_) | Self::Panicked(_) => {
                Exit::Unexpected
            }
        }
    }
}

/// The catalogue that the configuration asks for.
///
/// # Errors
/// When its file cannot be read or is no catalogue.
pub fn load_catalog(config: &Config) -> Result<Catalog, JobError> {
    let Some(path) = &config.catalog.path else { return Ok(Catalog::builtin()) };
    let text = store::fs::read_text(path, MAX_CATALOG_BYTES).map_err(JobError::CatalogFile)?;
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
    pub tracker: TaskTracker,
    /// Ends the job.
    pub stop: CancellationToken,
    /// What an interrupted run had left in staging.
    pub leftovers: Leftovers,
    /// When it began.
    pub begun: Instant,
    memory: Periodic,
    tasks_before: usize,
}

impl Job {
    /// Takes the writer's lock, checks what an interrupted run left, and begins to purge from time to time.
    ///
    /// # Errors
    /// When another writer is at work, the catalogue is no good, or the file system refuses.
    pub fn open(
        config: &Config,
        program: &str,
        doing: String,
        clock: fn() -> SystemTime,
        stop: CancellationToken,
    ) -> Result<Self, JobError> {
        let begun = Instant::now();
        let tasks_before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let catalog = Arc::new(load_catalog(config)?);
        let holder =
            Holder { program: program.to_owned(), pid: std::process::id(), since: store::timestamp(clock()), doing };
        let (cache, staging) = (&config.cache.dir, &config.cache.staging_dir);
        let lock = WriterLock::acquire(cache, staging, &holder)?;
        let known = |board| catalog.ordinal(board).is_some();
        let (staging, leftovers) = Staging::open(lock, staging, Cache::new(cache), known, &stop)?;
        let status = StatusFile::new(cache);
        // Whoever said so was killed: there is no other writer.
        status.update(&Status { fetch_in_progress: Some(false), ..Status::default() })?;
        let publisher = Publisher {
            staging: Arc::new(staging),
            catalog: Arc::clone(&catalog),
            status,
            plain: config.index.plain,
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            index_budget: None,
            give_back: memory::give_back,
            clock,
            totals: std::sync::Mutex::default(),
        };
        let tracker = TaskTracker::new();
        let every = config.memory.purge_every;
        let memory = Periodic::start(&tracker, &stop, every, "⏹️ Memory monitoring stopped", |_| purge_and_say());
        let publisher = Arc::new(publisher);
        Ok(Self { catalog, publisher, tracker, stop, leftovers, begun, memory, tasks_before })
    }

    /// The client that the configuration asks for.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn client(&self, config: &Config) -> Result<Client, JobError> {
        let upstream = &config.upstream;
        let settings = Settings {
            base_url: upstream.base_url.clone(),
            user_agent: upstream.user_agent.clone(),
            requests_per_second: upstream.requests_per_second,
            concurrency: upstream.concurrency,
            timeout: upstream.timeout,
            page_size: upstream.page_size as usize,
            max_body_bytes: usize::try_from(upstream.max_body_bytes()).unwrap_or(usize::MAX),
            max_idle: upstream.max_idle_per_host,
            idle_timeout: upstream.idle_timeout,
            attempts: upstream.attempts,
            backoff_min: upstream.backoff_min,
            backoff_max: upstream.backoff_max,
        };
        Ok(Client::new(settings, fastrand::u64(..), self.publisher.clock)?)
    }

    /// Publishes what is staged; see [`Publisher::publish`].
    ///
    /// # Errors
    /// When the file system refuses, or the job was asked to stop.
    pub async fn publish(&self) -> Result<Published, JobError> {
        let (publisher, stop) = (Arc::clone(&self.publisher), self.stop.clone());
        let result = self.tracker.spawn_blocking(move || publish_and_purge(&publisher, &stop)).await;
        Ok(result.map_err(JobError::Panicked)??)
    }

    /// Publishes every `every` until it is stopped. What goes wrong is logged: the last publication of the job tells it by
    /// its exit code.
    #[must_use]
    pub fn publish_periodically(&self, every: Duration) -> Periodic {
        let publisher = Arc::clone(&self.publisher);
        Periodic::start(&self.tracker, &self.stop, every, "⏹️ Periodic indexing task exiting", move |stop| {
            match publish_and_purge(&publisher, stop) {
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
        let Self { publisher, tracker, memory, tasks_before, .. } = self;
        memory.stop().await;
        tracker.close();
        let closing = async {
            tracker.wait().await;
            // A connection's task ends by itself soon after its client was dropped, and nobody holds a handle of it.
            let metrics = tokio::runtime::Handle::current().metrics();
            while metrics.num_alive_tasks() > tasks_before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks().saturating_sub(tasks_before);
            tracing::error!(tasks, "tasks or connections are still alive after {CLOSING:?}");
        }
        Ok(publisher.staging.tidy()?)
    }
}

/// Publishes, then gives back what that took, where the older program forced a collection.
fn publish_and_purge(publisher: &Publisher, stop: &CancellationToken) -> Result<Published, PublishError> {
    let result = publisher.publish(stop)?;
    match memory::purge() {
        Ok(purged) => publisher.tell(&memory_status(&purged.after)),
        Err(error) => tracing::warn!(%error, "no purge"),
    }
    Ok(result)
}

/// The memory figures as `status.json` has them.
#[must_use]
pub fn memory_status(figures: &memory::Figures) -> Status {
    Status {
        memory_alloc_mb: Some(memory::mb(figures.allocated_bytes)),
        memory_sys_mb: Some(memory::mb(figures.resident_bytes)),
        memory_peak_rss_mb: Some(memory::mb(figures.peak_rss_bytes)),
        ..Status::default()
    }
}

fn purge_and_say() {
    match memory::purge() {
        Ok(purged) => tracing::info!("{}", purged.after.periodic_line()),
        Err(error) => tracing::warn!(%error, "no purge"),
    }
}
