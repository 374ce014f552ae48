//! Fetches boards with as many workers as requests may be in flight, one queue, and one token to stop them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use crate::domain::Validators;
use crate::domain::{Catalog, Combination, Ordinal};
use crate::runtime::concurrency_limit::ConcurrencyLimit;
use crate::runtime::fs::FsError;
use crate::runtime::tasks::Tasks;
use crate::runtime::timestamp;
use crate::store::{Arrival, BoardEncoder, Destination, Refusal, Shrinking, Shrunk, Staging, has_shrunk};
use crate::upstream::{Answer, Client, FetchError, LastPage};

#[cfg(test)]
mod tests;

/// How many kept or shrunk boards are named in the log.
const MAX_NAMED: usize = 10;

/// How often a board is fetched that is much smaller than the cached one, until two responses in a row agree.
const MAX_RESPONSES: usize = 3;

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
    TimeIsUp,
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
pub enum FetchFault {
    /// The file system failed.
    #[error(transparent)]
    Store(#[from] FsError),
    /// A worker panicked.
    #[error("a worker panicked: {0}")]
    Panicked(JoinError),
}

/// Why one board failed.
#[derive(Debug, thiserror::Error)]
enum NotFetched {
    #[error(transparent)]
    Upstream(#[from] FetchError),
    #[error(transparent)]
    Store(#[from] Refusal),
    #[error("{MAX_RESPONSES} responses have far fewer entries than the {cached} cached, and no two in a row agree")]
    Unsteady { cached: usize },
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

/// Shared by the workers of one call.
#[derive(Debug)]
struct Queue {
    boards: Vec<Ordinal>,
    next: AtomicUsize,
    outcome: Mutex<Outcome>,
    /// Cancelled if fetching cannot continue.
    stop: CancellationToken,
    /// Cancelled when no board is left, so that workers stop waiting for a slot.
    drained: CancellationToken,
}

#[derive(Debug, Default)]
struct Outcome {
    boards: Vec<Ordinal>,
    arrivals: Arrivals,
    kept: Vec<Combination>,
    shrunk: usize,
    failed: Vec<FailedBoard>,
    time_is_up: bool,
    unavailable: Option<String>,
    disk: Option<FsError>,
}

impl Fetcher {
    /// Fetches the boards in order, and returns when all workers have ended. However it ends, fetched boards are on disk, and
    /// nothing of boards in flight is.
    ///
    /// # Errors
    /// If the file system fails for all boards, or a worker panics.
    pub async fn fetch(&self, boards: Vec<Ordinal>, stop: &CancellationToken) -> Result<Fetched, FetchFault> {
        self.progress.expect(boards.len());
        let workers = self.concurrency.min(boards.len());
        let (stop_here, drained) = (stop.child_token(), CancellationToken::new());
        let (next, outcome) = (AtomicUsize::new(0), Mutex::default());
        let queue = Arc::new(Queue { boards, next, outcome, stop: stop_here, drained });
        let mut at_work = JoinSet::new();
        for number in 0..workers {
            at_work.spawn(self.tasks.track("fetching boards", work(number, self.clone(), Arc::clone(&queue))));
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
        if let Some(first) = outcome.kept.first() {
            let (boards, named) = (outcome.arrivals.kept, &outcome.kept);
            let named = named.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            tracing::warn!(boards, %first, named, "the service has no entries for boards that had some; they are kept");
        }
        if outcome.shrunk > MAX_NAMED {
            tracing::warn!(boards = outcome.shrunk, "many boards are much smaller than the cached ones");
        }
        let complete = outcome.boards.len() + outcome.failed.len() == queue.boards.len();
        let end = match outcome.unavailable {
            Some(why) => End::Unavailable(why),
            None if complete => End::Complete,
            None if outcome.time_is_up && !stop.is_cancelled() => End::TimeIsUp,
            None => End::Stopped,
        };
        Ok(Fetched { boards: outcome.boards, arrivals: outcome.arrivals, failed: outcome.failed, end })
    }

    /// Fetches one board and accepts it. If it is much smaller than the cached one, it is fetched again, unconditionally and to
    /// its last entry, and accepted only if two responses in a row agree.
    async fn one(&self, board: Combination, name: &str, queue: &Queue) -> Result<(Arrival, usize), NotFetched> {
        let mut unless = self.staging.cache().validators(board);
        let mut last_page = LastPage::Short;
        // The numbers of entries of responses that were too small.
        let mut suspicious = Vec::new();
        loop {
            let encoder: Box<BoardEncoder> = match self.client.fetch(board, name, &unless, last_page).await? {
                Answer::Board(encoder) => encoder,
                Answer::NotModified if self.staging.renew(board)? => return Ok((Arrival::Unchanged, 0)),
                Answer::NotModified => {
                    // The cached file was removed in the meantime.
                    unless = Validators::default();
                    continue;
                }
            };
            // Compresses, compares and writes.
            let write = || {
                let file = encoder.finish(&timestamp((self.clock)()));
                let agrees = |before: &usize| !has_shrunk(*before, file.entries) && !has_shrunk(file.entries, *before);
                let confirmed = suspicious.last().is_some_and(agrees);
                let shrinking = if confirmed { Shrinking::Accepted } else { Shrinking::Refused };
                self.staging.accept(&file, self.destination, shrinking).map(|accepted| (accepted, file.entries))
            };
            let (cached, entries) = match self.client.blocking().run(write).await? {
                (Ok(arrival), entries) => return Ok((arrival, entries)),
                (Err(Shrunk { cached }), entries) => (cached, entries),
            };
            suspicious.push(entries);
            if suspicious.len() == MAX_RESPONSES {
                return Err(NotFetched::Unsteady { cached });
            }
            queue.shrunk(board, cached, entries);
            (unless, last_page) = (Validators::default(), LastPage::Empty);
        }
    }
}

/// One worker: fetches boards until none are left or fetching cannot continue.
async fn work(number: usize, fetcher: Fetcher, queue: Arc<Queue>) {
    loop {
        tokio::select! {
            biased;
            () = queue.stop.cancelled() => return,
            () = queue.drained.cancelled() => return,
            () = fetcher.concurrency_limit.wait_for_slot(number) => {}
        }
        if fetcher.until.is_some_and(|until| Instant::now() >= until) {
            queue.outcome().time_is_up = true;
            return queue.drained.cancel();
        }
        let next = queue.next.fetch_add(1, Ordering::Relaxed);
        let Some(&ordinal) = queue.boards.get(next) else { return queue.drained.cancel() };
        let Some((track, class)) = fetcher.catalog.at(ordinal) else { continue };
        let board = Combination { track: track.id, class: class.id };
        let result = tokio::select! {
            biased;
            () = queue.stop.cancelled() => return,
            result = fetcher.one(board, &track.name, &queue) => result,
        };
        match result {
            Ok((arrival, entries)) => {
                tracing::debug!(%board, entries, ?arrival, "fetched");
                let mut outcome = queue.outcome();
                outcome.boards.push(ordinal);
                outcome.arrivals.count(arrival);
                if arrival == Arrival::Kept && outcome.kept.len() < MAX_NAMED {
                    outcome.kept.push(board);
                }
                drop(outcome);
                fetcher.progress.fetched(entries, arrival == Arrival::Changed);
            }
            Err(NotFetched::Store(Refusal::All(error))) => {
                queue.outcome().disk.get_or_insert(error);
                queue.stop.cancel();
            }
            Err(NotFetched::Upstream(FetchError::Unavailable(why))) => {
                queue.outcome().unavailable.get_or_insert(why);
                queue.stop.cancel();
            }
            Err(error) => {
                tracing::debug!(%board, %error, "failed");
                fetcher.progress.failed();
                let failed = FailedBoard { ordinal, error: error.to_string(), at: (fetcher.clock)() };
                queue.outcome().failed.push(failed);
            }
        }
    }
}

impl Queue {
    /// Counts a board that is much smaller than the cached one, and logs the first few.
    fn shrunk(&self, board: Combination, cached: usize, fetched: usize) {
        let mut outcome = self.outcome();
        outcome.shrunk += 1;
        let named = outcome.shrunk <= MAX_NAMED;
        drop(outcome);
        if named {
            tracing::warn!(%board, cached, fetched, "a board is much smaller than the cached one; fetching it again");
        }
    }

    fn outcome(&self) -> std::sync::MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
