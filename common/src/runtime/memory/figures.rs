//! The figures of a process, named as in reports.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::kernel::{Descriptors, Status};
use super::{MemoryError, advance_epoch, kernel, mb, raw};

/// Number of purges of this process.
pub(super) static PURGES: AtomicU64 = AtomicU64::new(0);

/// The figures of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Allocated, thread caches included.
    pub allocated_bytes: u64,
    /// Of those, in thread caches, and so not in use.
    pub thread_cache_bytes: u64,
    /// In pages with live allocations.
    pub active_bytes: u64,
    /// The allocator's own data.
    pub metadata_bytes: u64,
    /// Resident, as the allocator estimates.
    pub resident_bytes: u64,
    /// Mapped by the allocator.
    pub mapped_bytes: u64,
    /// Address space without memory.
    pub retained_bytes: u64,
    /// Resident, from the kernel (`VmRSS`).
    pub rss_bytes: u64,
    /// Maximum of that (`VmHWM`).
    pub peak_rss_bytes: u64,
    /// Resident memory without pages of files, which the kernel can drop and read again (`RssAnon`). `None` if the kernel, or a
    /// program of an earlier version, does not report it.
    pub rss_anon_bytes: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// TCP sockets with a peer, pooled ones included.
    pub connections: u64,
    /// Number of purges.
    pub purges: u64,
}

impl Figures {
    /// Allocated bytes without thread caches.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.allocated_bytes.saturating_sub(self.thread_cache_bytes)
    }

    /// The log line of a periodic purge, in the form of the older program.
    #[must_use]
    pub fn periodic_line(&self) -> String {
        let Self { allocated_bytes, resident_bytes, purges, .. } = self;
        format!("💾 Periodic GC: Alloc={}MB, Sys={}MB, NumGC={purges}", mb(*allocated_bytes), mb(*resident_bytes))
    }
}

/// The current figures of this process, in about 0.1 ms. [`super::pss_bytes`] takes longer and is not included.
///
/// # Errors
/// If the allocator or the kernel does not report them.
pub fn figures() -> Result<Figures, MemoryError> {
    advance_epoch()?;
    let Status { rss_bytes, peak_rss_bytes, rss_anon_bytes, threads } = kernel::status()?;
    let Descriptors { open, connections } = kernel::descriptors()?;
    Ok(Figures {
        allocated_bytes: statistic("stats.allocated")?,
        thread_cache_bytes: statistic(THREAD_CACHES)?,
        active_bytes: statistic("stats.active")?,
        metadata_bytes: statistic("stats.metadata")?,
        resident_bytes: statistic("stats.resident")?,
        mapped_bytes: statistic("stats.mapped")?,
        retained_bytes: statistic("stats.retained")?,
        rss_bytes,
        peak_rss_bytes,
        rss_anon_bytes,
        threads,
        open_fds: open,
        connections,
        purges: PURGES.load(Ordering::Relaxed),
    })
}

/// Allocated bytes, thread caches included, and bytes in thread caches.
pub(super) fn allocated() -> Result<(u64, u64), MemoryError> {
    advance_epoch()?;
    Ok((statistic("stats.allocated")?, statistic(THREAD_CACHES)?))
}

const THREAD_CACHES: &str = "stats.arenas.4096.tcache_bytes";

fn statistic(name: &str) -> Result<u64, MemoryError> {
    raw::read::<usize>(name).map(|bytes| bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_cache_of_a_parked_thread_is_reported_separately() {
        const FREED: usize = 64;
        const SIZE: usize = 4096;
        let (freed, waited) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let parked = std::thread::spawn(move || {
            let held: Vec<Vec<u8>> = (0..FREED).map(|_| vec![1; SIZE]).collect();
            drop(held);
            freed.send(()).unwrap();
            ended.recv().unwrap_err();
        });
        waited.recv_timeout(Duration::from_secs(10)).unwrap();
        let figures = figures().unwrap();
        // A cache keeps at least a few allocations of one size.
        assert!(figures.thread_cache_bytes >= 4 * SIZE as u64, "{figures:?}");
        assert!(figures.thread_cache_bytes < figures.allocated_bytes, "{figures:?}");
        assert_eq!(figures.live_bytes(), figures.allocated_bytes - figures.thread_cache_bytes);
        drop(end);
        parked.join().unwrap();
    }

    #[test]
    fn figures_are_consistent() {
        let figures = figures().unwrap();
        assert!(figures.allocated_bytes <= figures.active_bytes, "{figures:?}");
        assert!(figures.active_bytes <= figures.mapped_bytes, "{figures:?}");
        // This test's, and the one that started it.
        assert!(figures.threads >= 2 && figures.open_fds >= 3, "{figures:?}");
    }

    #[test]
    fn the_log_line_of_a_purge_has_the_form_of_the_older_program() {
        let figures = Figures { allocated_bytes: 12 << 20, resident_bytes: 18 << 20, purges: 5, ..Figures::default() };
        assert_eq!(figures.periodic_line(), "💾 Periodic GC: Alloc=12MB, Sys=18MB, NumGC=5");
    }
}
