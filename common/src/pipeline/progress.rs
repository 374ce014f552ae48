//! How far fetching is: counters that whoever shows progress can read at any time.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counters of one job.
#[derive(Debug, Default)]
pub struct Progress {
    total: AtomicUsize,
    fetched: AtomicUsize,
    failed: AtomicUsize,
    entries: AtomicUsize,
}

/// What the counters said at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// Boards to be fetched.
    pub total: usize,
    /// Boards fetched.
    pub fetched: usize,
    /// Boards given up, for now.
    pub failed: usize,
    /// Entries of the boards fetched.
    pub entries: usize,
}

impl Progress {
    pub(super) fn expect(&self, boards: usize) {
        self.total.fetch_add(boards, Ordering::Relaxed);
    }

    pub(super) fn fetched(&self, entries: usize) {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(entries, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// What the counters say now.
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
