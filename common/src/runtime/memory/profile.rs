//! Heap profiles: which code holds what is held. The allocator keeps the way to every allocation that it samples, one in
//! half a megabyte, for as long as the allocation lives; a dump lists them as bare addresses. Naming the functions takes
//! tens of megabytes, and is left to whoever asks.
//!
//! Whether a process can be profiled at all is decided before its first allocation, and costs 0.6 MB resident even where
//! nothing is sampled. So a program is built without, and where `memory.profile` wants it begins anew, as the same process,
//! with a variable that tells the allocator: see [`prepare`].

mod build_id;
mod dump;
mod start;

pub use build_id::hexadecimal;
pub use dump::{Dump, ORIGIN_MARK, Origin};
pub use start::{Profiling, prepare};

use serde::{Deserialize, Serialize};

use super::{MemoryError, raw, refused};

/// Whether a process can be profiled, and is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileState {
    /// Whether profiles can be had in this process.
    pub available: bool,
    /// Whether allocations are sampled now.
    pub active: bool,
    /// The mean of the bytes allocated between two samples; 0 where profiles cannot be had.
    pub sample_bytes: u64,
}

/// Whether this process can be profiled, and is.
///
/// # Errors
/// When the allocator does not say.
pub fn state() -> Result<ProfileState, MemoryError> {
    if !refused("opt.prof", jemalloc_ctl::profiling::prof::read())? {
        return Ok(ProfileState { available: false, active: false, sample_bytes: 0 });
    }
    let active = refused("prof.active", raw::profile_active())?;
    let sample_bytes = 1 << refused("prof.lg_sample", raw::profile_lg_sample())?;
    Ok(ProfileState { available: true, active, sample_bytes })
}

/// Has allocations sampled from now on, or no more. What was sampled before stays until it is freed.
///
/// # Errors
/// When this process cannot be profiled.
pub fn set_active(active: bool) -> Result<(), MemoryError> {
    refused("prof.active", raw::set_profile_active(active))
}

/// Forgets what was sampled, so that a profile shows only what is allocated from now on.
///
/// # Errors
/// When this process cannot be profiled.
pub fn reset() -> Result<(), MemoryError> {
    refused("prof.reset", raw::reset_profile())
}
