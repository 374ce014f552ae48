//! Fetching boards: as many workers as requests may be in flight, one queue, one token to stop them.

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

/// How many boards that were kept, or have shrunk, are named.
const NAMED: usize = 10;

/// How often a board is fetched that is much smaller than the cached one, until two answers in a row agree.
const MAX_ANSWERS: usize = 3;

/// A board that could not be fetched, or not be stored.
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
    /// The time that it had is over.
    TimeIsUp,
    /// It was asked to stop.
    Stopped,
    /// The service is plainly down.
    Unavailable(String),
}

/// How many of the boards that were fetched are of each kind; see [`Arrival`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// Written, for their entries are not those that were cached.
    pub changed: usize,
    /// Not written, for their entries are those that are cached.
    pub unchanged: usize,
    /// Without entries, and without before.
    pub empty: usize,
    /// Without entries at the service; the cached ones stay.
    pub kept: usize,
}

impl Arrivals {
    /// All of them.
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

/// What fetching did.
#[derive(Debug)]
pub struct Fetched {
    /// The boards that arrived.
    pub boards: Vec<Ordinal>,
    /// What they said.
    pub arrivals: Arrivals,
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
    Store(#[from] FsError),
    /// A worker panicked.
    #[error("a worker panicked: {0}")]
    Panicked(JoinError),
}

/// Why a board is not in the cache as the service has it.
#[derive(Debug, thiserror::Error)]
enum NotFetched {
    #[error(transparent)]
    Upstream(#[from] FetchError),
    #[error(transparent)]
    Store(#[from] Refusal),
    #[error("{MAX_ANSWERS} answers with far fewer entries than the {cached} cached, and no two in a row agree")]
    Unsteady { cached: usize },
}

/// What fetching needs.
#[derive(Debug, Clone)]
pub struct Fetcher {
    /// The service.
    pub client: Arc<Client>,
    /// Where boards are taken in.
    pub staging: Arc<Staging>,
    /// Where those go that say something new.
    pub destination: Destination,
    /// The boards' names.
    pub catalog: Arc<Catalog>,
    /// How far it is.
    pub progress: Arc<Progress>,
    /// Boards fetched at a time.
    pub concurrency: usize,
    /// How many of them may be in flight now, where memory is short.
    pub concurrency_limit: ConcurrencyLimit,
    /// When no further board is begun; with none, all are.
    pub until: Option<Instant>,
    /// What every task is spawned on.
    pub tasks: Tasks,
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
    /// Cancelled by whoever finds that there is no board left to begin: who waits to be allowed one waits in vain.
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
    /// Fetches the boards, each once, in order, and returns when no worker is left. Boards that arrived are on disk
    /// whatever the end was; of those in flight when it was stopped, nothing is.
    ///
    /// # Errors
    /// When the disk refused a board, or a worker panicked.
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
            tracing::warn!(boards, %first, named, "the service has no entries for boards that had some: they are kept");
        }
        if outcome.shrunk > NAMED {
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

    /// Fetches one board and takes it in. One that is much smaller than the cached board is fetched again, to its last entry and
    /// unconditionally, and replaces it only if two answers in a row agree; the answer before is not held meanwhile.
    async fn one(&self, board: Combination, name: &str, queue: &Queue) -> Result<(Arrival, usize), NotFetched> {
        let mut unless = self.staging.cache().validators(board);
        let mut last_page = LastPage::Short;
        // How many entries the answers had that were too small.
        let mut doubted = Vec::new();
        loop {
            let encoder: Box<BoardEncoder> = match self.client.fetch(board, name, &unless, last_page).await? {
                Answer::Board(encoder) => encoder,
                Answer::NotModified if self.staging.renew(board)? => return Ok((Arrival::Unchanged, 0)),
                Answer::NotModified => {
                    // Someone has removed the file meanwhile.
                    unless = Validators::default();
                    continue;
                }
            };
            // Compressing the rest, comparing and writing take the disk's time, which is not the runtime's.
            let write = || {
                let file = encoder.finish(&timestamp((self.clock)()));
                let agrees = |before: &usize| !has_shrunk(*before, file.entries) && !has_shrunk(file.entries, *before);
                let confirmed = doubted.last().is_some_and(agrees);
                let shrinking = if confirmed { Shrinking::Accepted } else { Shrinking::Refused };
                self.staging.accept(&file, self.destination, shrinking).map(|accepted| (accepted, file.entries))
            };
            let (cached, entries) = match self.client.blocking().run(write).await? {
                (Ok(arrival), entries) => return Ok((arrival, entries)),
                (Err(Shrunk { cached }), entries) => (cached, entries),
            };
            doubted.push(entries);
            if doubted.len() == MAX_ANSWERS {
                return Err(NotFetched::Unsteady { cached });
            }
            queue.shrunk(board, cached, entries);
            (unless, last_page) = (Validators::default(), LastPage::Empty);
        }
    }
}

/// One worker: takes boards until there are none, or none are to be had.
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
                if arrival == Arrival::Kept && outcome.kept.len() < NAMED {
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
    /// A board is much smaller than the cached one. Said of the first few, so that a service that has lost much fills no log.
    fn shrunk(&self, board: Combination, cached: usize, fetched: usize) {
        let mut outcome = self.outcome();
        outcome.shrunk += 1;
        let named = outcome.shrunk <= NAMED;
        drop(outcome);
        if named {
            tracing::warn!(%board, cached, fetched, "a board is much smaller than the cached one, fetching it again");
        }
    }

    fn outcome(&self) -> std::sync::MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
