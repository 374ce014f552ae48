//! Returns unused memory to the kernel: flushes thread caches, then purges all arenas.
//!
//! A thread can flush only its own cache. Workers of a runtime do so when they park ([`flush_if_asked`]), and [`purge_all`] wakes those
//! that are parked already.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::figures::{Figures, PURGES, figures};
use super::{MemoryError, mb, raw};

/// How long to wait for workers, and to keep them from their work at most.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(50);

thread_local! {
    /// The number of purges when this thread last flushed its cache.
    static FLUSHED_AT: Cell<u64> = const { Cell::new(0) };
}

/// The result of a purge.
#[derive(Debug, Clone, Copy)]
pub struct Purged {
    /// The figures before.
    pub before: Figures,
    /// The figures after.
    pub after: Figures,
    /// How long it took.
    pub took: Duration,
    /// Number of workers that flushed their caches. Busy ones do so when they next park.
    pub workers: usize,
}

impl Purged {
    /// The reduction of resident memory; negative if the process allocated more meanwhile.
    #[must_use]
    pub fn given_back_bytes(&self) -> i64 {
        self.before.rss_bytes.cast_signed().wrapping_sub(self.after.rss_bytes.cast_signed())
    }
}

/// Returns all unused pages to the kernel, the calling thread's cache included, and asks other threads to flush their caches when they
/// next park. Takes up to 100 ms: not for async threads.
///
/// # Errors
/// If the allocator refuses.
pub fn purge() -> Result<Purged, MemoryError> {
    purge_after(|| 0)
}

/// Like [`purge`], with the caches of the runtime's workers, which are woken for it; those that stay busy for 50 ms are skipped.
/// Threads for blocking calls flush when they end, 10 s after their last call. Not for the runtime's own threads, except those for
/// blocking calls.
///
/// # Errors
/// If the allocator refuses.
pub fn purge_all(runtime: &Handle) -> Result<Purged, MemoryError> {
    purge_after(|| flush_workers(runtime, FLUSH_TIMEOUT))
}

fn purge_after(flush_others: impl FnOnce() -> usize) -> Result<Purged, MemoryError> {
    let before = figures()?;
    let begun = Instant::now();
    PURGES.fetch_add(1, Ordering::Relaxed);
    let workers = flush_others();
    flush_if_asked();
    raw::call(c"arena.4096.purge")?;
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

/// Purges; an error is only logged.
pub fn purge_or_log() {
    if let Err(error) = purge() {
        tracing::debug!(%error, "cannot purge");
    }
}

/// Flushes the calling thread's cache if there was a purge since the last flush, and else costs a comparison. Runtimes call it when a
/// thread parks.
pub fn flush_if_asked() {
    let purges = PURGES.load(Ordering::Relaxed);
    if FLUSHED_AT.replace(purges) != purges
        && let Err(error) = raw::call(c"thread.tcache.flush")
    {
        tracing::debug!(%error, "cannot flush the cache of a thread");
    }
}

/// A barrier with a timeout, at which each worker is blocked by one task, so that none takes two.
#[derive(Debug)]
struct Barrier {
    arrived: Mutex<usize>,
    changed: Condvar,
    workers: usize,
    until: Instant,
}

impl Barrier {
    /// Waits until all have arrived or the time is up. Returns how many have.
    fn wait(&self, arriving: usize) -> usize {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.until.saturating_duration_since(Instant::now());
        // After the timeout a worker may arrive twice.
        if !left.is_zero() {
            *arrived += arriving;
        }
        if *arrived >= self.workers {
            self.changed.notify_all();
        }
        let waited = self.changed.wait_timeout_while(arrived, left, |arrived| *arrived < self.workers);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Has each worker of the runtime flush its cache. Returns how many did in time.
fn flush_workers(runtime: &Handle, timeout: Duration) -> usize {
    let workers = runtime.metrics().num_workers();
    let until = Instant::now() + timeout;
    let barrier = Arc::new(Barrier { arrived: Mutex::new(0), changed: Condvar::new(), workers, until });
    let flush = |_| {
        let barrier = Arc::clone(&barrier);
        runtime.spawn(async move {
            flush_if_asked();
            // Blocks this worker until the timeout at most, so that an idle one takes the next task.
            barrier.wait(1);
        })
    };
    let tasks: Vec<_> = (0..workers).map(flush).collect();
    let arrived = barrier.wait(0);
    // Tasks that no worker has started are not needed any more.
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    arrived
}

#[cfg(test)]
mod tests {
    use super::*;
    use r3e_needs::until;
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
    fn freed_memory_is_returned() {
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
            // The kernel updates the peak only from time to time.
            let was_seen = purged.after.peak_rss_bytes >= before.rss_bytes + HALF;
            was_there && was_seen && purged.after.rss_bytes < during.rss_bytes - HALF
        };
        // Other tests of this process allocate meanwhile, so one undisturbed trial is enough.
        assert!((0..20).any(|_| trial()));
    }

    #[test]
    fn parked_workers_flush_their_caches() {
        for workers in 1..=8 {
            let runtime = runtime(workers);
            assert_eq!(flush_workers(runtime.handle(), LONG), workers);
        }
    }

    #[test]
    fn busy_workers_are_not_waited_for() {
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
        // A worker in `block_in_place` is replaced by another thread, which flushes instead.
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
        until("no task is left", || runtime.metrics().num_alive_tasks() == 0);
    }

    #[test]
    fn a_runtime_that_is_not_driven_is_not_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(flush_workers(runtime.handle(), Duration::from_millis(1)), 0);
        runtime.block_on(tokio::task::yield_now());
        assert_eq!(runtime.metrics().num_alive_tasks(), 0, "the cancelled task is gone");
    }
}
