//! Heap profiles: which code holds memory. The allocator samples one allocation in half a megabyte and keeps its call stack
//! while it lives; a dump lists the stacks as addresses. Finding their functions takes tens of megabytes, and is left to
//! whoever asks.
//!
//! Whether a process can be profiled is decided before its first allocation, and costs 0.6 MB resident even if nothing is
//! sampled. So it is off by default; if `memory.profile` asks for it, a program executes itself again with a variable for
//! the allocator: see [`prepare`].

mod dump;
mod executable;
mod start;

pub use dump::{Dump, ORIGIN_MARK, Origin};
pub use executable::Executable;
pub use start::{Profiling, prepare};

use serde::{Deserialize, Serialize};

use super::{MemoryError, raw, refused};

/// The state of heap profiling in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileState {
    /// Whether the process can be profiled.
    pub available: bool,
    /// Whether it samples allocations now.
    pub active: bool,
    /// Mean number of bytes between two samples; 0 if it cannot be profiled.
    pub sample_bytes: u64,
}

/// The state of heap profiling in this process.
///
/// # Errors
/// When the allocator does not answer.
pub fn state() -> Result<ProfileState, MemoryError> {
    if !refused("opt.prof", jemalloc_ctl::profiling::prof::read())? {
        return Ok(ProfileState { available: false, active: false, sample_bytes: 0 });
    }
    let active = refused("prof.active", raw::profile_active())?;
    let sample_bytes = 1 << refused("prof.lg_sample", raw::profile_lg_sample())?;
    Ok(ProfileState { available: true, active, sample_bytes })
}

/// Switches sampling on or off. Earlier samples stay until they are freed.
///
/// # Errors
/// When this process cannot be profiled.
pub fn set_active(active: bool) -> Result<(), MemoryError> {
    refused("prof.active", raw::set_profile_active(active))
}

/// Drops all samples, so that a profile shows only later allocations.
///
/// # Errors
/// When this process cannot be profiled.
pub fn reset() -> Result<(), MemoryError> {
    refused("prof.reset", raw::reset_profile())
}
