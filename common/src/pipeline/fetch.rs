//! Fetching boards into staging: as many workers as requests may be in flight, one queue, one token to stop them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::progress::Progress;
use crate::domain::{Catalog, Combination, Ordinal};
use crate::store::{Staging, StoreError, timestamp};
use crate::upstream::{Client, FetchError};

/// A board that could not be fetched.
#[derive(Debug, Clone)]
pub struct FailedBoard {
    /// Which.
    pub ordinal: Ordinal,
    /// Why.
    pub error: String,
    /// When it was given up.
    pub at: SystemTime,
}

/// How fetching ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Every board was tried.
    Complete,
    /// It was asked to stop.
    Stopped,
    /// The service is plainly down.
    Unavailable(String),
}

/// What fetching did.
#[derive(Debug)]
pub struct Fetched {
    /// Boards that are now in staging.
    pub boards: Vec<Ordinal>,
    /// Those among them without entries.
    pub empty: usize,
    /// Boards that could not be had.
    pub failed: Vec<FailedBoard>,
    /// How it ended.
    pub end: End,
}

/// Why fetching ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum FetchFault {
    /// The disk refused a board.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A worker panicked.
    #[error("a worker panicked: {0}")]
    Panicked(JoinError),
}

/// What fetching needs.
#[derive(Debug, Clone)]
pub struct Fetcher {
    /// The service.
    pub client: Arc<Client>,
    /// Where boards go.
    pub staging: Arc<Staging>,
    /// The boards' names.
    pub catalog: Arc<Catalog>,
    /// How far it is.
    pub progress: Arc<Progress>,
    /// Boards fetched at a time.
    pub concurrency: usize,
    /// What every task is spawned on.
    pub tracker: TaskTracker,
    /// The time of day, for `cached_at`.
    pub clock: fn() -> SystemTime,
}

/// What the workers of one call share.
#[derive(Debug)]
struct Queue {
    boards: Vec<Ordinal>,
    next: AtomicUsize,
    outcome: Mutex<Outcome>,
    /// Cancelled by whoever finds that there is no use in going on.
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Outcome {
    boards: Vec<Ordinal>,
    empty: usize,
    failed: Vec<FailedBoard>,
    unavailable: Option<String>,
    disk: Option<StoreError>,
}

impl Fetcher {
    /// Fetches the boards, each once, and returns when no worker is left. Boards that arrived are in staging whatever the
    /// end was; of those in flight when it was stopped, nothing is.
    ///
    /// # Errors
    /// When the disk refused a board, or a worker panicked.
    pub async fn fetch(&self, boards: Vec<Ordinal>, stop: &CancellationToken) -> Result<Fetched, FetchFault> {
        self.progress.expect(boards.len());
        let workers = self.concurrency.min(boards.len());
        let queue =
            Arc::new(Queue { boards, next: AtomicUsize::new(0), outcome: Mutex::default(), stop: stop.child_token() });
        let mut at_work = JoinSet::new();
        for _ in 0..workers {
            at_work.spawn(self.tracker.track_future(work(self.clone(), Arc::clone(&queue))));
        }
        let mut panicked = None;
        while let Some(ended) = at_work.join_next().await {
            if let Err(error) = ended {
                queue.stop.cancel();
                panicked.get_or_insert(error);
            }
        }
        if let Some(error) = panicked {
            return Err(FetchFault::Panicked(error));
        }
        let outcome = std::mem::take(&mut *queue.outcome());
        if let Some(error) = outcome.disk {
            return Err(error.into());
        }
        let complete = outcome.boards.len() + outcome.failed.len() == queue.boards.len();
        let end = match outcome.unavailable {
            Some(why) => End::Unavailable(why),
            None if complete => End::Complete,
            None => End::Stopped,
        };
        Ok(Fetched { boards: outcome.boards, empty: outcome.empty, failed: outcome.failed, end })
    }

    async fn one(&self, board: Combination, name: &str) -> Result<Result<usize, StoreError>, FetchError> {
        let encoder = self.client.fetch(board, name).await?;
        // Compressing the rest and writing it takes the disk's time, which is not the runtime's.
        Ok(tokio::task::block_in_place(|| {
            let file = encoder.finish(&timestamp((self.clock)()));
            self.staging.write(&file).map(|()| file.entries)
        }))
    }
}

/// One worker: takes boards until there are none, or none are to be had.
async fn work(fetcher: Fetcher, queue: Arc<Queue>) {
    while !queue.stop.is_cancelled() {
        let next = queue.next.fetch_add(1, Ordering::Relaxed);
        let Some(&ordinal) = queue.boards.get(next) else { return };
        let Some((track, class)) = fetcher.catalog.at(ordinal) else { continue };
        let board = Combination { track: track.id, class: class.id };
        let result = tokio::select! {
            biased;
            () = queue.stop.cancelled() => return,
            result = fetcher.one(board, &track.name) => result,
        };
        match result {
            Ok(Ok(entries)) => {
                tracing::debug!(%board, entries, "fetched");
                fetcher.progress.fetched(entries);
                let mut outcome = queue.outcome();
                outcome.boards.push(ordinal);
                outcome.empty += usize::from(entries == 0);
            }
            Ok(Err(error)) => {
                queue.outcome().disk.get_or_insert(error);
                queue.stop.cancel();
            }
            Err(FetchError::Unavailable(why)) => {
                queue.outcome().unavailable.get_or_insert(why);
                queue.stop.cancel();
            }
            Err(error @ FetchError::Failed { .. }) => {
                tracing::debug!(%board, %error, "failed");
                fetcher.progress.failed();
                let failed = FailedBoard { ordinal, error: error.to_string(), at: (fetcher.clock)() };
                queue.outcome().failed.push(failed);
            }
        }
    }
}

impl Queue {
    fn outcome(&self) -> std::sync::MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
