//! Fetches boards with as many workers as requests may be in flight, one queue, and one token to stop them.

#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use crate::domain::{Catalog, Ordinal};
use crate::runtime::concurrency_limit::ConcurrencyLimit;
use crate::runtime::fs::FsError;
use crate::runtime::tasks::Tasks;
use crate::store::{Arrival, Destination, Staging};
use crate::upstream::Client;

use worker::{Queue, work};

/// A board that could not be fetched or stored.
#[derive(Debug, Clone)]
pub struct FailedBoard {
    /// The board.
    pub ordinal: Ordinal,
    /// The error.
    pub error: String,
    /// When it failed.
    pub at: SystemTime,
}

/// How fetching ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// All boards were fetched or failed.
    Complete,
    /// The time limit was reached.
    TimeLimit,
    /// It was stopped.
    Stopped,
    /// The service is down.
    Unavailable(String),
}

/// The number of fetched boards of each kind; see [`Arrival`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// Written, because their entries differ from the cached ones.
    pub changed: usize,
    /// Not written, because their entries equal the cached ones.
    pub unchanged: usize,
    /// Without entries, as before.
    pub empty: usize,
    /// Without entries at the service; the cached entries were kept.
    pub kept: usize,
}

impl Arrivals {
    /// The number of all fetched boards.
    #[must_use]
    pub fn total(&self) -> usize {
        let Self { changed, unchanged, empty, kept } = self;
        changed + unchanged + empty + kept
    }

    fn count(&mut self, arrival: Arrival) {
        let of_kind = match arrival {
            Arrival::Changed => &mut self.changed,
            Arrival::Unchanged => &mut self.unchanged,
            Arrival::Empty => &mut self.empty,
            Arrival::Kept => &mut self.kept,
        };
        *of_kind += 1;
    }
}

impl std::ops::AddAssign for Arrivals {
    fn add_assign(&mut self, other: Self) {
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.empty += other.empty;
        self.kept += other.kept;
    }
}

/// The result of fetching.
#[derive(Debug)]
pub struct Fetched {
    /// The fetched boards.
    pub boards: Vec<Ordinal>,
    /// How many of them are of each kind.
    pub arrivals: Arrivals,
    /// The boards that failed.
    pub failed: Vec<FailedBoard>,
    /// How it ended.
    pub end: End,
}

/// Why fetching failed.
#[derive(Debug, thiserror::Error)]
pub enum FetcherError {
    /// The file system failed.
    #[error(transparent)]
    Store(#[from] FsError),
    /// A worker panicked.
    #[error("a worker panicked: {0}")]
    Panicked(JoinError),
}

/// Fetches boards.
#[derive(Debug, Clone)]
pub struct Fetcher {
    /// The service.
    pub client: Arc<Client>,
    /// Accepts fetched boards.
    pub staging: Arc<Staging>,
    /// Where changed boards are written.
    pub destination: Destination,
    /// The boards' names.
    pub catalog: Arc<Catalog>,
    /// Counts fetched boards.
    pub progress: Arc<Progress>,
    /// The number of workers.
    pub concurrency: usize,
    /// How many workers may have a board in flight, which is less if memory is short.
    pub concurrency_limit: ConcurrencyLimit,
    /// No board is started after this.
    pub until: Option<Instant>,
    /// Tracks all tasks.
    pub tasks: Tasks,
    /// The time of day, for `cached_at`.
    pub clock: fn() -> SystemTime,
}

impl Fetcher {
    /// Fetches the boards in order, and returns when all workers have ended. However it ends, fetched boards are on disk, and
    /// nothing of boards in flight is.
    ///
    /// # Errors
    /// If the file system fails for all boards, or a worker panics.
    pub async fn fetch(&self, boards: Vec<Ordinal>, stop: &CancellationToken) -> Result<Fetched, FetcherError> {
        self.progress.expect(boards.len());
        let workers = self.concurrency.min(boards.len());
        let queue = Arc::new(Queue::new(boards, stop.child_token()));
        let mut running = JoinSet::new();
        for number in 0..workers {
            running.spawn(self.tasks.track("fetching boards", work(number, self.clone(), Arc::clone(&queue))));
        }
        let mut panicked = None;
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                queue.stop();
                panicked.get_or_insert(error);
            }
        }
        match panicked {
            Some(error) => Err(FetcherError::Panicked(error)),
            None => Ok(queue.finish(stop.is_cancelled())?),
        }
    }
}
