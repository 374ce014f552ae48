//! Heap profiles: which code holds memory. The allocator samples one allocation in half a megabyte and keeps its call stack while it is
//! live. A dump lists the stacks as addresses; the client finds the functions, which takes tens of megabytes.
//!
//! Profiling must be enabled before the first allocation, and costs 0.6 MB even if nothing is sampled. So it is off by default, and if
//! `memory.profile` asks for it, a program executes itself again with options for the allocator: see [`prepare`].

mod dump;
mod executable;
mod start;

pub use dump::{Dump, ORIGIN_MARK, Origin};
pub use executable::Executable;
pub use start::{Profiling, prepare};

use serde::{Deserialize, Serialize};

use super::{MemoryError, raw};

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
/// If the allocator does not report it.
pub fn state() -> Result<ProfileState, MemoryError> {
    if !raw::read::<bool>("opt.prof")? {
        return Ok(ProfileState { available: false, active: false, sample_bytes: 0 });
    }
    let active = raw::read("prof.active")?;
    let sample_bytes = 1 << raw::read::<usize>("prof.lg_sample")?;
    Ok(ProfileState { available: true, active, sample_bytes })
}

/// Switches sampling on or off. Earlier samples stay until they are freed.
///
/// # Errors
/// If this process cannot be profiled.
pub fn set_active(active: bool) -> Result<(), MemoryError> {
    raw::set_profile_active(active)
}

/// Drops all samples, so that a profile shows only later allocations.
///
/// # Errors
/// If this process cannot be profiled.
pub fn reset() -> Result<(), MemoryError> {
    raw::call(c"prof.reset")
}
