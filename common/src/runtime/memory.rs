//! What this process holds, by the allocator's account and by the kernel's, and giving it back.
//!
//! Every program allocates with jemalloc, tuned small. Figures cost a tenth of a millisecond; a purge can take a tenth of a second,
//! and runs on an async thread only in the scheduler, which holds little and has nothing else to do meanwhile. Facts about
//! jemalloc: its manual, `jemalloc(3)`; about the kernel's account: `proc(5)`. What a process may hold, and how it gives way, is in
//! [`limit`], [`pressure`] and [`limiter`]; what its code holds, function by function, in [`profile`].

mod arenas;
mod cgroup;
mod figures;
mod kernel;
pub mod limit;
pub mod limiter;
mod periodic;
pub mod pressure;
pub mod profile;
mod purge;
mod raw;
mod tuning;
pub mod usage;

pub use arenas::{Arena, arenas};
pub use figures::{Figures, figures};
pub use kernel::{pss_bytes, rss_bytes};
pub use periodic::{purge_periodically, purge_periodically_unlogged};
pub use purge::{Purged, flush_if_asked, give_back, purge, purge_all};
pub use tuning::{check_tuning, warn_if_not_tuned};

use crate::runtime::fs;

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
    Kernel(#[from] fs::FsError),
}

fn refused<T>(what: &'static str, result: Result<T, impl std::fmt::Display>) -> Result<T, MemoryError> {
    result.map_err(|why| MemoryError::Allocator { what, why: why.to_string() })
}

/// Whole megabytes of 2^20 bytes.
#[must_use]
pub fn mb(bytes: u64) -> u64 {
    bytes >> 20
}
