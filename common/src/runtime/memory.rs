//! Memory of this process: figures of the allocator and the kernel, and returning unused memory.
//!
//! All programs use jemalloc with options for a small footprint. Reading figures takes 0.1 ms. A purge can take 100 ms, so only the
//! scheduler, which has little memory and nothing else to do, purges on an async thread. Sources: `jemalloc(3)` and `proc(5)`. Limits
//! are in [`limit`], [`pressure`] and [`limiter`], heap profiles in [`profile`].

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
pub use purge::{Purged, flush_if_asked, purge, purge_all, purge_or_log};
pub use tuning::{check_tuning, warn_if_not_tuned};

use crate::runtime::fs;

/// Why there are no figures, or nothing was returned.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The allocator refused.
    #[error("the allocator refused {what}: {why}")]
    Allocator {
        /// The request.
        what: String,
        /// Its error.
        why: String,
    },
    /// The kernel's figures could not be read.
    #[error(transparent)]
    Kernel(#[from] fs::FsError),
}

fn refused<T>(what: &str, result: Result<T, impl std::fmt::Display>) -> Result<T, MemoryError> {
    result.map_err(|why| MemoryError::Allocator { what: what.to_owned(), why: why.to_string() })
}

/// Brings the allocator's statistics up to date.
fn advance_epoch() -> Result<(), MemoryError> {
    refused("epoch", jemalloc_ctl::epoch::advance()).map(|_| ())
}

/// Whole MiB.
#[must_use]
pub fn mb(bytes: u64) -> u64 {
    bytes >> 20
}
