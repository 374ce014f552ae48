//! What this process holds, by the allocator's account and by the kernel's, and giving it back.
//!
//! Every program allocates with jemalloc, tuned small. Statistics cost microseconds; a purge can take a tenth of a
//! second and never runs on an async thread. Facts about jemalloc: its manual, `jemalloc(3)`.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::store::fs;

mod raw {
    //! The three calls that the safe interface of jemalloc has not.
    #![expect(unsafe_code, reason = "jemalloc reads its settings from a symbol, and purging has no safe interface")]

    use std::ffi::{CStr, c_char};
    use std::io;
    use std::ptr;

    #[global_allocator]
    static ALLOCATOR: jemallocator::Jemalloc = jemallocator::Jemalloc;

    /// A pointer that jemalloc may read from any thread.
    #[repr(transparent)]
    pub(super) struct Settings(*const c_char);
    // SAFETY: it points to a constant of the program, which nobody writes to.
    unsafe impl Sync for Settings {}

    /// One background thread gives back what has been free for a second; two arenas are enough for two cores.
    const TUNING: &CStr =
        c"background_thread:true,max_background_threads:1,narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0";

    // SAFETY: jemalloc, built with this prefix, declares `const char *_rjem_malloc_conf`, and this is one.
    #[unsafe(export_name = "_rjem_malloc_conf")]
    pub(super) static SETTINGS: Settings = Settings(TUNING.as_ptr());

    /// The settings compiled in.
    pub(super) fn tuning() -> &'static str {
        TUNING.to_str().unwrap_or_default()
    }

    /// Calls a control of jemalloc that takes and gives nothing.
    fn call(name: &CStr) -> io::Result<()> {
        // SAFETY: the name ends with NUL, and a control without values takes null for all of them.
        let code =
            unsafe { jemalloc_sys::mallctl(name.as_ptr(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0) };
        if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
    }

    /// Gives back all unused pages of all arenas; 4096 stands for all of them.
    pub(super) fn purge_arenas() -> io::Result<()> {
        call(c"arena.4096.purge")
    }

    /// Empties the calling thread's cache of free objects into the arenas.
    pub(super) fn flush_thread_cache() -> io::Result<()> {
        call(c"thread.tcache.flush")
    }
}

/// Why there are no figures, or nothing was given back.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The allocator refused.
    #[error("the allocator refused {what}: {why}")]
    Allocator {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// The kernel's account could not be read.
    #[error(transparent)]
    Kernel(#[from] fs::StoreError),
}

fn refused<T>(what: &'static str, result: Result<T, impl std::fmt::Display>) -> Result<T, MemoryError> {
    result.map_err(|why| MemoryError::Allocator { what, why: why.to_string() })
}

/// What a process holds, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Given out by the allocator and not yet taken back, thread caches included.
    pub allocated_bytes: u64,
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
    /// How often this process has purged.
    pub purges: u64,
}

impl Figures {
    /// The line that operators know from the older program, with the allocator's allocated and resident bytes.
    #[must_use]
    pub fn periodic_line(&self) -> String {
        let Self { allocated_bytes, resident_bytes, purges, .. } = self;
        format!("💾 Periodic GC: Alloc={}MB, Sys={}MB, NumGC={purges}", mb(*allocated_bytes), mb(*resident_bytes))
    }
}

/// Whole megabytes of 2^20 bytes.
#[must_use]
pub fn mb(bytes: u64) -> u64 {
    bytes >> 20
}

static PURGES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The number of purges when this thread last emptied its cache.
    static FLUSHED_AT: Cell<u64> = const { Cell::new(0) };
}

/// What this process holds now.
///
/// # Errors
/// When the allocator or the kernel does not say.
pub fn figures() -> Result<Figures, MemoryError> {
    use jemalloc_ctl::{epoch, stats};
    refused("its epoch", epoch::advance())?;
    let read = |what, result: jemalloc_ctl::Result<usize>| refused(what, result).map(|bytes| bytes as u64);
    let (rss_bytes, peak_rss_bytes) = kernel_figures()?;
    Ok(Figures {
        allocated_bytes: read("stats.allocated", stats::allocated::read())?,
        active_bytes: read("stats.active", stats::active::read())?,
        metadata_bytes: read("stats.metadata", stats::metadata::read())?,
        resident_bytes: read("stats.resident", stats::resident::read())?,
        mapped_bytes: read("stats.mapped", stats::mapped::read())?,
        retained_bytes: read("stats.retained", stats::retained::read())?,
        rss_bytes,
        peak_rss_bytes,
        purges: PURGES.load(Ordering::Relaxed),
    })
}

/// `VmRSS` and `VmHWM` of `/proc/self/status`, in bytes.
fn kernel_figures() -> Result<(u64, u64), fs::StoreError> {
    let path = Path::new("/proc/self/status");
    let status = fs::read_text(path, 64 << 10)?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).map(|kib| kib * 1024).ok_or_else(
            || fs::StoreError { action: "read", path: path.to_owned(), cause: io::Error::other(format!("no {name}")) },
        )
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
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
}

/// Gives all unused pages back to the kernel, and asks every thread to empty its cache when it next parks. Takes up to
/// a tenth of a second: not for async threads.
///
/// # Errors
/// When the allocator refuses.
pub fn purge() -> Result<Purged, MemoryError> {
    let before = figures()?;
    let begun = Instant::now();
    PURGES.fetch_add(1, Ordering::Relaxed);
    flush_if_asked();
    refused("a purge", raw::purge_arenas())?;
    let took = begun.elapsed();
    let after = figures()?;
    tracing::debug!(
        before_mb = mb(before.rss_bytes),
        after_mb = mb(after.rss_bytes),
        took_ms = took.as_millis(),
        "purged"
    );
    Ok(Purged { before, after, took })
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

/// Checks that the allocator took the settings compiled in: a misspelt one would only show in a figure, months later.
///
/// # Errors
/// When it did not, unless the environment (`_RJEM_MALLOC_CONF`) has overridden them.
pub fn check_tuning() -> Result<(), MemoryError> {
    // Naming the symbol here keeps the linker from leaving it out.
    std::hint::black_box(&raw::SETTINGS);
    let narenas: u32 = refused("opt.narenas", jemalloc_ctl::opt::narenas::read())?;
    let background = refused("background_thread", jemalloc_ctl::background_thread::read())?;
    let overridden = std::env::var_os("_RJEM_MALLOC_CONF").is_some();
    if overridden || (narenas == 2 && background) {
        return Ok(());
    }
    let why = format!("narenas:{narenas}, background_thread:{background}; expected {}", raw::tuning());
    Err(MemoryError::Allocator { what: "its settings", why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_took_its_settings() {
        check_tuning().unwrap();
    }

    #[test]
    fn what_is_freed_is_given_back() {
        const SIZE: usize = 64 << 20;
        let before = figures().unwrap();
        let held: Vec<Vec<u8>> = (0..SIZE / 4096).map(|_| vec![1; 4096]).collect();
        let during = figures().unwrap();
        assert!(during.allocated_bytes >= before.allocated_bytes + SIZE as u64 * 9 / 10);
        assert!(during.rss_bytes >= before.rss_bytes + SIZE as u64 / 2);
        drop(held);
        let purged = purge().unwrap();
        assert!(purged.after.purges > before.purges);
        assert!(purged.after.rss_bytes < during.rss_bytes - SIZE as u64 / 2, "{purged:?}");
        // The kernel sums its counters up from time to time, so the peak may lag a little behind.
        assert!(purged.after.peak_rss_bytes >= before.rss_bytes + SIZE as u64 / 2);
    }

    #[test]
    fn the_line_that_operators_know() {
        let figures = Figures { allocated_bytes: 12 << 20, resident_bytes: 18 << 20, purges: 5, ..Figures::default() };
        assert_eq!(figures.periodic_line(), "💾 Periodic GC: Alloc=12MB, Sys=18MB, NumGC=5");
    }
}
