//! Giving back what is free: the pages of all arenas, and before that what threads keep in their caches.
//!
//! A thread can empty only its own cache. Workers of a runtime do so where they park ([`flush_if_asked`]), and
//! [`purge_all`] wakes those that are parked already.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::figures::{Figures, PURGES, figures};
use super::{MemoryError, mb, raw, refused};

/// How long workers are waited for, and at most kept from their work.
const PATIENCE: Duration = Duration::from_millis(50);

thread_local! {
    /// The number of purges when this thread last emptied its cache.
    static FLUSHED_AT: Cell<u64> = const { Cell::new(0) };
}

/// What a purge gave back.
#[derive(Debug, Clone, Copy)]
pub struct Purged {
    /// What the process held before.
    pub before: Figures,
    /// What it holds now.
    pub after: Figures,
    /// How long it took.
    pub took: Duration,
    /// How many workers of the runtime emptied their caches; those that were at work do so when they next park.
    pub workers: usize,
}

impl Purged {
    /// By how much less is resident, by the kernel's account; below zero where the work took more meanwhile.
    #[must_use]
    pub fn given_back_bytes(&self) -> i64 {
        self.before.rss_bytes.cast_signed().wrapping_sub(self.after.rss_bytes.cast_signed())
    }
}

/// Gives all unused pages back to the kernel, the calling thread's cache included, and asks every other thread to
/// empty its cache when it next parks. Takes up to a tenth of a second: not for async threads.
///
/// # Errors
/// When the allocator refuses.
pub fn purge() -> Result<Purged, MemoryError> {
    purge_after(|| 0)
}

/// Like [`purge`], with the caches of the runtime's workers, which are woken for it. Workers that are at work for more
/// than 50 ms are not waited for. Threads that the runtime keeps for blocking calls empty their caches when
/// they end, 10 s after their last call. Not for threads of that runtime, unless they are there to be blocked.
///
/// # Errors
/// When the allocator refuses.
pub fn purge_all(runtime: &Handle) -> Result<Purged, MemoryError> {
    purge_after(|| flush_workers(runtime, PATIENCE))
}

fn purge_after(flush_others: impl FnOnce() -> usize) -> Result<Purged, MemoryError> {
    let before = figures()?;
    let begun = Instant::now();
    PURGES.fetch_add(1, Ordering::Relaxed);
    let workers = flush_others();
    flush_if_asked();
    refused("a purge", raw::purge_arenas())?;
    let took = begun.elapsed();
    let purged = Purged { before, after: figures()?, took, workers };
    tracing::debug!(
        before_mb = mb(purged.before.rss_bytes),
        after_mb = mb(purged.after.rss_bytes),
        took_ms = took.as_millis(),
        workers,
        "purged"
    );
    Ok(purged)
}

/// Purges, for those whose work goes on without.
pub fn give_back() {
    if let Err(error) = purge() {
        tracing::debug!(%error, "nothing was given back");
    }
}

/// Empties the calling thread's cache if there was a purge since it last did: for a runtime to call where a thread
/// parks. Costs a comparison otherwise.
pub fn flush_if_asked() {
    let purges = PURGES.load(Ordering::Relaxed);
    if FLUSHED_AT.replace(purges) != purges
        && let Err(error) = raw::flush_thread_cache()
    {
        tracing::debug!(%error, "a thread's cache was not emptied");
    }
}

/// Where tasks wait until each worker has one of them, so that no worker takes two.
#[derive(Debug)]
struct Round {
    arrived: Mutex<usize>,
    all_there: Condvar,
    of: usize,
    until: Instant,
}

impl Round {
    /// Waits until all have arrived or the time is over; says how many have.
    fn wait(&self, arriving: usize) -> usize {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.until.saturating_duration_since(Instant::now());
        // Who comes when the time is over may have been here before.
        if !left.is_zero() {
            *arrived += arriving;
        }
        if *arrived >= self.of {
            self.all_there.notify_all();
        }
        let waited = self.all_there.wait_timeout_while(arrived, left, |arrived| *arrived < self.of);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Has each worker of the runtime empty its cache, within a bound in time; says how many did.
fn flush_workers(runtime: &Handle, patience: Duration) -> usize {
    let of = runtime.metrics().num_workers();
    let until = Instant::now() + patience;
    let round = Arc::new(Round { arrived: Mutex::new(0), all_there: Condvar::new(), of, until });
    let one = |_| {
        let round = Arc::clone(&round);
        runtime.spawn(async move {
            flush_if_asked();
            // Blocks its worker, for no longer than the round: an idle worker then has to take the next of these tasks.
            round.wait(1);
        })
    };
    let tasks: Vec<_> = (0..of).map(one).collect();
    let arrived = round.wait(0);
    // Those that no worker has come to yet have nothing left to do.
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    arrived
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    const LONG: Duration = Duration::from_secs(10);

    fn runtime(workers: usize) -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_all()
            .on_thread_park(flush_if_asked)
            .build()
            .unwrap()
    }

    #[test]
    fn what_is_freed_is_given_back() {
        const SIZE: usize = 64 << 20;
        const HALF: u64 = SIZE as u64 / 2;
        let trial = || {
            let before = figures().unwrap();
            let held: Vec<Vec<u8>> = (0..SIZE / 4096).map(|_| vec![1; 4096]).collect();
            let during = figures().unwrap();
            drop(held);
            let purged = purge().unwrap();
            assert!(purged.after.purges > before.purges);
            let difference = i128::from(purged.before.rss_bytes) - i128::from(purged.after.rss_bytes);
            assert_eq!(i128::from(purged.given_back_bytes()), difference);
            let was_there = during.allocated_bytes >= before.allocated_bytes + HALF / 5 * 9
                && during.rss_bytes >= before.rss_bytes + HALF;
            // The kernel sums its counters up from time to time, so the peak may lag a little behind.
            let was_seen = purged.after.peak_rss_bytes >= before.rss_bytes + HALF;
            was_there && was_seen && purged.after.rss_bytes < during.rss_bytes - HALF
        };
        // Other tests of this process allocate meanwhile: one trial that they leave alone is enough.
        assert!((0..20).any(|_| trial()));
    }

    #[test]
    fn workers_that_are_parked_are_reached() {
        for workers in 1..=8 {
            let runtime = runtime(workers);
            assert_eq!(flush_workers(runtime.handle(), LONG), workers);
        }
    }

    #[test]
    fn workers_that_are_at_work_are_not_waited_for() {
        let runtime = runtime(3);
        let (end, ended) = channel::<()>();
        let (busy, is_busy) = channel();
        let at_work = runtime.spawn(async move {
            busy.send(()).unwrap();
            ended.recv().unwrap_err();
        });
        is_busy.recv_timeout(LONG).unwrap();
        let reached = flush_workers(runtime.handle(), Duration::from_millis(500));
        assert!((1..=2).contains(&reached), "{reached}");
        // Nor are those whose work blocks where it may: another thread does the worker's.
        drop(end);
        let (end, ended) = channel::<()>();
        let (busy, is_busy) = channel();
        let blocked = runtime.spawn(async move {
            tokio::task::block_in_place(|| {
                busy.send(()).unwrap();
                ended.recv().unwrap_err();
            });
        });
        is_busy.recv_timeout(LONG).unwrap();
        assert_eq!(flush_workers(runtime.handle(), LONG), 3);
        drop(end);
        runtime.block_on(async { (at_work.await.unwrap(), blocked.await.unwrap()) });
        let begun = Instant::now();
        while runtime.metrics().num_alive_tasks() > 0 {
            assert!(begun.elapsed() < LONG, "a task was left behind");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_runtime_that_nobody_drives_is_not_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(flush_workers(runtime.handle(), Duration::from_millis(1)), 0);
        runtime.block_on(tokio::task::yield_now());
        assert_eq!(runtime.metrics().num_alive_tasks(), 0, "what was called off is gone");
    }
}
