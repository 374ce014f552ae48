//! Figures of each arena of the allocator: which memory a purge can return, and which not.

use serde::{Deserialize, Serialize};

use super::{MemoryError, advance_epoch, raw};

/// The figures of an arena.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arena {
    /// Its number.
    pub arena: u32,
    /// Threads that allocate from it.
    pub threads: u32,
    /// Allocated, thread caches included.
    pub allocated_bytes: u64,
    /// In pages with live allocations.
    pub active_bytes: u64,
    /// In free pages that are still resident: a purge returns them.
    pub dirty_bytes: u64,
    /// In free pages that the kernel may reclaim.
    pub muzzy_bytes: u64,
    /// Resident, as the allocator estimates.
    pub resident_bytes: u64,
    /// Mapped.
    pub mapped_bytes: u64,
    /// Address space without memory.
    pub retained_bytes: u64,
    /// The allocator's own data.
    pub metadata_bytes: u64,
}

/// The arenas that were ever used, in about 0.1 ms.
///
/// # Errors
/// If the allocator does not report them.
pub fn arenas() -> Result<Vec<Arena>, MemoryError> {
    advance_epoch()?;
    let page: usize = raw::read("arenas.page")?;
    let mut arenas = Vec::new();
    for arena in 0..raw::read("arenas.narenas")? {
        if raw::read(&format!("arena.{arena}.initialized"))? {
            arenas.push(read(arena, page as u64)?);
        }
    }
    Ok(arenas)
}

fn read(arena: u32, page: u64) -> Result<Arena, MemoryError> {
    let bytes = |what| raw::read::<usize>(&format!("stats.arenas.{arena}.{what}")).map(|bytes| bytes as u64);
    let pages = |what| bytes(what).map(|pages| pages * page);
    Ok(Arena {
        arena,
        threads: raw::read(&format!("stats.arenas.{arena}.nthreads"))?,
        allocated_bytes: bytes("small.allocated")? + bytes("large.allocated")?,
        active_bytes: pages("pactive")?,
        dirty_bytes: pages("pdirty")?,
        muzzy_bytes: pages("pmuzzy")?,
        resident_bytes: bytes("resident")?,
        mapped_bytes: bytes("mapped")?,
        retained_bytes: bytes("retained")?,
        metadata_bytes: bytes("base")? + bytes("internal")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::memory::figures;

    #[test]
    fn arenas_add_up_to_the_figures_of_the_process() {
        // Other tests allocate meanwhile, so the sums agree only roughly.
        let near = |sum: u64, all: u64| sum.abs_diff(all) <= all / 10 + (4 << 20);
        let kept: Vec<Vec<u8>> = (0..1000).map(|_| vec![1; 16 << 10]).collect();
        let (arenas, figures) = (arenas().unwrap(), figures().unwrap());
        let sum = |of: fn(&Arena) -> u64| arenas.iter().map(of).sum::<u64>();
        assert!(near(sum(|it| it.allocated_bytes), figures.allocated_bytes), "{arenas:?} {figures:?}");
        assert!(near(sum(|it| it.active_bytes), figures.active_bytes), "{arenas:?} {figures:?}");
        assert!(near(sum(|it| it.mapped_bytes), figures.mapped_bytes), "{arenas:?} {figures:?}");
        assert!(near(sum(|it| it.metadata_bytes), figures.metadata_bytes), "{arenas:?} {figures:?}");
        assert!(sum(|it| it.allocated_bytes) >= 16_000 << 10, "the test's own allocations count");
        assert!(
            arenas.iter().map(|it| u64::from(it.threads)).sum::<u64>() >= 2,
            "this test's, and the one that started it"
        );
        drop(kept);
    }
}
