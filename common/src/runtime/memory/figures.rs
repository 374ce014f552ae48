//! The figures, each by its name in reports.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::kernel::{Account, Descriptors};
use super::{MemoryError, kernel, mb, raw, refused};

/// How often this process has purged.
pub(super) static PURGES: AtomicU64 = AtomicU64::new(0);

/// What a process holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Given out by the allocator and not yet taken back, thread caches included.
    pub allocated_bytes: u64,
    /// Of those, what threads' caches hold for their next allocations: what is really in use is the difference.
    pub thread_cache_bytes: u64,
    /// Pages with anything allocated in them.
    pub active_bytes: u64,
    /// The allocator's own.
    pub metadata_bytes: u64,
    /// What the allocator believes to be in memory.
    pub resident_bytes: u64,
    /// Mapped by the allocator.
    pub mapped_bytes: u64,
    /// Address space kept without memory behind it.
    pub retained_bytes: u64,
    /// In memory, by the kernel's account (`VmRSS`).
    pub rss_bytes: u64,
    /// The most there ever was (`VmHWM`).
    pub peak_rss_bytes: u64,
    /// Of what is in memory, the process's own (`RssAnon`): the rest are pages of files, which the kernel can drop and
    /// read again. None where the kernel, or a program of an earlier version, does not report it.
    pub rss_anon_bytes: Option<u64>,
    /// The process's threads, those that wait included.
    pub threads: u64,
    /// Open descriptors.
    pub open_fds: u64,
    /// TCP sockets that have a peer, pooled ones included.
    pub connections: u64,
    /// How often this process has purged.
    pub purges: u64,
}

impl Figures {
    /// What is allocated and in use: without what threads' caches hold.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.allocated_bytes.saturating_sub(self.thread_cache_bytes)
    }

    /// The line that operators know from the older program, with the allocator's allocated and resident bytes.
    #[must_use]
    pub fn periodic_line(&self) -> String {
        let Self { allocated_bytes, resident_bytes, purges, .. } = self;
        format!("💾 Periodic GC: Alloc={}MB, Sys={}MB, NumGC={purges}", mb(*allocated_bytes), mb(*resident_bytes))
    }
}

/// What this process holds now. Takes some 0.1 ms; [`super::pss_bytes`] takes longer, and is not among them.
///
/// # Errors
/// When the allocator or the kernel does not say.
pub fn figures() -> Result<Figures, MemoryError> {
    use jemalloc_ctl::{epoch, stats};
    refused("its epoch", epoch::advance())?;
    let read = |what, result: jemalloc_ctl::Result<usize>| refused(what, result).map(|bytes| bytes as u64);
    let Account { rss_bytes, peak_rss_bytes, rss_anon_bytes, threads } = kernel::account()?;
    let Descriptors { open, connections } = kernel::descriptors()?;
    Ok(Figures {
        allocated_bytes: read("stats.allocated", stats::allocated::read())?,
        thread_cache_bytes: read("stats.arenas.4096.tcache_bytes", raw::thread_cache_bytes())?,
        active_bytes: read("stats.active", stats::active::read())?,
        metadata_bytes: read("stats.metadata", stats::metadata::read())?,
        resident_bytes: read("stats.resident", stats::resident::read())?,
        mapped_bytes: read("stats.mapped", stats::mapped::read())?,
        retained_bytes: read("stats.retained", stats::retained::read())?,
        rss_bytes,
        peak_rss_bytes,
        rss_anon_bytes,
        threads,
        open_fds: open,
        connections,
        purges: PURGES.load(Ordering::Relaxed),
    })
}

/// What the allocator has given out, thread caches included, and what these hold.
pub(super) fn held() -> Result<(u64, u64), MemoryError> {
    use jemalloc_ctl::{epoch, stats};
    refused("its epoch", epoch::advance())?;
    let allocated = refused("stats.allocated", stats::allocated::read())?;
    let cached = refused("stats.arenas.4096.tcache_bytes", raw::thread_cache_bytes())?;
    Ok((allocated as u64, cached as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_a_parked_thread_keeps_in_its_cache_is_told_apart() {
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
        // Of one size, a cache keeps a few at least.
        assert!(figures.thread_cache_bytes >= 4 * SIZE as u64, "{figures:?}");
        assert!(figures.thread_cache_bytes < figures.allocated_bytes, "{figures:?}");
        assert_eq!(figures.live_bytes(), figures.allocated_bytes - figures.thread_cache_bytes);
        drop(end);
        parked.join().unwrap();
    }

    #[test]
    fn they_agree_with_each_other() {
        let figures = figures().unwrap();
        assert!(figures.allocated_bytes <= figures.active_bytes, "{figures:?}");
        assert!(figures.active_bytes <= figures.mapped_bytes, "{figures:?}");
        // This test's, and the one that started it.
        assert!(figures.threads >= 2 && figures.open_fds >= 3, "{figures:?}");
    }

    #[test]
    fn the_line_that_operators_know() {
        let figures = Figures { allocated_bytes: 12 << 20, resident_bytes: 18 << 20, purges: 5, ..Figures::default() };
        assert_eq!(figures.periodic_line(), "💾 Periodic GC: Alloc=12MB, Sys=18MB, NumGC=5");
    }
}
