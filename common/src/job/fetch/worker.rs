//! One worker of a fetcher, and the queue that all of them share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Arrivals, End, FailedBoard, Fetched, Fetcher};
use crate::domain::{Combination, Ordinal, Validators};
use crate::runtime::fs::FsError;
use crate::runtime::timestamp;
use crate::store::{Arrival, BoardEncoder, Refusal, Shrinking, Shrunk, has_shrunk};
use crate::upstream::{Answer, FetchError, LastPage};

/// How many kept or shrunk boards are named in the log.
const MAX_NAMED: usize = 10;

/// How often a board is fetched that is much smaller than the cached one, until two responses in a row agree.
const MAX_RESPONSES: usize = 3;

/// Why one board failed.
#[derive(Debug, thiserror::Error)]
enum BoardError {
    #[error(transparent)]
    Upstream(#[from] FetchError),
    #[error(transparent)]
    Store(#[from] Refusal),
    #[error("{MAX_RESPONSES} responses have far fewer entries than the {cached} cached, and no two in a row agree")]
    Inconsistent { cached: usize },
}

/// Shared by the workers of one call.
#[derive(Debug)]
pub(super) struct Queue {
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
    time_limit_reached: bool,
    unavailable: Option<String>,
    disk: Option<FsError>,
}

impl Fetcher {
    /// Fetches one board and accepts it. If it is much smaller than the cached one, it is fetched again, unconditionally and to
    /// its last entry, and accepted only if two responses in a row agree.
    async fn fetch_board(&self, board: Combination, name: &str, queue: &Queue) -> Result<(Arrival, usize), BoardError> {
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
                return Err(BoardError::Inconsistent { cached });
            }
            queue.shrunk(board, cached, entries);
            (unless, last_page) = (Validators::default(), LastPage::Empty);
        }
    }
}

/// One worker: fetches boards until none are left or fetching cannot continue.
pub(super) async fn work(number: usize, fetcher: Fetcher, queue: Arc<Queue>) {
    loop {
        tokio::select! {
            biased;
            () = queue.stop.cancelled() => return,
            () = queue.drained.cancelled() => return,
            () = fetcher.concurrency_limit.wait_for_slot(number) => {}
        }
        if fetcher.until.is_some_and(|until| Instant::now() >= until) {
            queue.outcome().time_limit_reached = true;
            return queue.drained.cancel();
        }
        let next = queue.next.fetch_add(1, Ordering::Relaxed);
        let Some(&ordinal) = queue.boards.get(next) else { return queue.drained.cancel() };
        let Some((track, class)) = fetcher.catalog.at(ordinal) else { continue };
        let board = Combination { track: track.id, class: class.id };
        let result = tokio::select! {
            biased;
            () = queue.stop.cancelled() => return,
            result = fetcher.fetch_board(board, &track.name, &queue) => result,
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
            Err(BoardError::Store(Refusal::All(error))) => {
                queue.outcome().disk.get_or_insert(error);
                queue.stop.cancel();
            }
            Err(BoardError::Upstream(FetchError::Unavailable(reason))) => {
                queue.outcome().unavailable.get_or_insert(reason);
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
    pub(super) fn new(boards: Vec<Ordinal>, stop: CancellationToken) -> Self {
        Self { boards, next: AtomicUsize::new(0), outcome: Mutex::default(), stop, drained: CancellationToken::new() }
    }

    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// The result, once all workers have ended; `stopped` is whether the caller stopped them.
    pub(super) fn finish(&self, stopped: bool) -> Result<Fetched, FsError> {
        let outcome = std::mem::take(&mut *self.outcome());
        if let Some(error) = outcome.disk {
            return Err(error);
        }
        if let Some(first) = outcome.kept.first() {
            let named = outcome.kept.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let boards = outcome.arrivals.kept;
            tracing::warn!(boards, %first, named, "the service has no entries for boards that had some; they are kept");
        }
        if outcome.shrunk > MAX_NAMED {
            tracing::warn!(boards = outcome.shrunk, "many boards are much smaller than the cached ones");
        }
        let complete = outcome.boards.len() + outcome.failed.len() == self.boards.len();
        let end = match outcome.unavailable {
            Some(reason) => End::Unavailable(reason),
            None if complete => End::Complete,
            None if outcome.time_limit_reached && !stopped => End::TimeLimit,
            None => End::Stopped,
        };
        Ok(Fetched { boards: outcome.boards, arrivals: outcome.arrivals, failed: outcome.failed, end })
    }

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
