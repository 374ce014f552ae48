//! Counters of a job's progress, which can be read at any time.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Counters of one job.
#[derive(Debug)]
pub struct Progress {
    total: AtomicUsize,
    fetched: AtomicUsize,
    failed: AtomicUsize,
    entries: AtomicUsize,
    changed: watch::Sender<usize>,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// Boards to fetch.
    pub total: usize,
    /// Boards fetched.
    pub fetched: usize,
    /// Boards that failed; some may be retried.
    pub failed: usize,
    /// Entries of the boards fetched.
    pub entries: usize,
}

impl Progress {
    /// All counters at zero.
    #[must_use]
    pub fn new() -> Self {
        let zero = || AtomicUsize::new(0);
        let (total, fetched, failed, entries) = (zero(), zero(), zero(), zero());
        Self { total, fetched, failed, entries, changed: watch::channel(0).0 }
    }

    pub(super) fn expect(&self, boards: usize) {
        self.total.fetch_add(boards, Ordering::Relaxed);
    }

    pub(super) fn fetched(&self, entries: usize, changed: bool) {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(entries, Ordering::Relaxed);
        if changed {
            self.changed.send_modify(|count| *count += 1);
        }
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of changed boards, as a channel that can be awaited.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<usize> {
        self.changed.subscribe()
    }

    /// The current counters.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            total: self.total.load(Ordering::Relaxed),
            fetched: self.fetched.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            entries: self.entries.load(Ordering::Relaxed),
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
