//! What each of the allocator's arenas holds: where memory is that a purge gives back, or cannot.

use serde::{Deserialize, Serialize};

use super::{MemoryError, raw, refused};

/// One arena. What is not told of it is the sum's, in [`super::Figures`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arena {
    /// Its number.
    pub arena: u32,
    /// Threads that allocate from it.
    pub threads: u32,
    /// Given out and not yet taken back, thread caches included.
    pub allocated_bytes: u64,
    /// Pages with anything allocated in them.
    pub active_bytes: u64,
    /// Pages that are free and still in memory: a purge gives them back.
    pub dirty_bytes: u64,
    /// Pages that are free and that the kernel may take.
    pub muzzy_bytes: u64,
    /// What the allocator believes to be in memory.
    pub resident_bytes: u64,
    /// Mapped by it.
    pub mapped_bytes: u64,
    /// Address space kept without memory behind it.
    pub retained_bytes: u64,
    /// The allocator's own.
    pub metadata_bytes: u64,
}

/// The arenas that were ever used. Takes some 0.1 ms.
///
/// # Errors
/// When the allocator does not say.
pub fn arenas() -> Result<Vec<Arena>, MemoryError> {
    refused("its epoch", jemalloc_ctl::epoch::advance())?;
    let count = refused("arenas.narenas", jemalloc_ctl::arenas::narenas::read())?;
    let page = refused("arenas.page", raw::page_bytes())? as u64;
    let mut arenas = Vec::new();
    for arena in 0..count {
        if refused("arena.<i>.initialized", raw::is_arena_used(arena))? {
            arenas.push(refused("stats.arenas.<i>", of(arena, page))?);
        }
    }
    Ok(arenas)
}

fn of(arena: u32, page: u64) -> jemalloc_ctl::Result<Arena> {
    let bytes = |what| raw::arena_number::<usize>(arena, what).map(|bytes| bytes as u64);
    let pages = |what| bytes(what).map(|pages| pages * page);
    Ok(Arena {
        arena,
        threads: raw::arena_number(arena, "nthreads")?,
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
    fn they_add_up_to_the_figures_of_all() {
        // Others allocate at the same time: what stays far apart is wrong.
        let near = |sum: u64, all: u64| sum.abs_diff(all) <= all / 10 + (4 << 20);
        let kept: Vec<Vec<u8>> = (0..1000).map(|_| vec![1; 16 << 10]).collect();
        let (arenas, figures) = (arenas().unwrap(), figures().unwrap());
        let sum = |of: fn(&Arena) -> u64| arenas.iter().map(of).sum::<u64>();
        assert!(near(sum(|it| it.allocated_bytes), figures.allocated_bytes), "{arenas:?} {figures:?}");
        assert!(near(sum(|it| it.active_bytes), figures.active_bytes), "{arenas:?} {figures:?}");
        assert!(near(sum(|it| it.mapped_bytes), figures.mapped_bytes), "{arenas:?} {figures:?}");
        assert!(near(sum(|it| it.metadata_bytes), figures.metadata_bytes), "{arenas:?} {figures:?}");
        assert!(sum(|it| it.allocated_bytes) >= 16_000 << 10, "what is kept is among them");
        assert!(
            arenas.iter().map(|it| u64::from(it.threads)).sum::<u64>() >= 2,
            "this test's, and that which started it"
        );
        drop(kept);
    }
}
