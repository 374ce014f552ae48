//! The memory budget of an export, and how it is divided.

use super::error::IndexError;
use super::parallel;
use crate::domain::{Catalog, Ordinal};
use crate::runtime::fs::FsError;
use crate::store::{Cache, ReadError};

/// How many consecutive boards a thread takes at a time, so that each folder is read by one thread.
pub(super) const RUN: usize = 16;

/// The size of a typical block of the driver index, as text.
pub(super) const BLOCK_BYTES: usize = 4096 * 432;

/// The memory of a compressor, without its output.
const COMPRESSOR_BYTES: usize = 384 << 10;

/// The memory that each combination takes in the tables of exported and damaged boards.
const COMBINATION_BYTES: u64 = 192;

/// The fixed memory of the other tables and the sample of keys.
const TABLES_BYTES: u64 = 512 << 10;

/// The minimum left for reading and exporting.
const MIN_WORK: u64 = 6 << 20;

/// The minimum memory per reading thread.
const READER_BYTES: u64 = 6 << 20;

/// Memory of a reading thread that is not counted elsewhere: its stack, the state of a decompressor.
const THREAD_BYTES: usize = 128 << 10;

/// Boards up to this size are read concurrently, memory permitting; larger ones are read one by one.
const BOARD_BYTES: usize = 8 << 20;

/// The granularity of the search for a sufficient headroom.
const STEP: u64 = 64 << 10;

/// How much memory an export may use at any time.
#[derive(Debug, Clone, Copy)]
pub struct Headroom {
    /// In bytes. `None` means no limit: the whole index is kept in memory.
    pub bytes: Option<u64>,
    /// Returns freed memory to the kernel. Called between steps, when one step has freed most of what the next one needs.
    pub purge: fn(),
}

impl Headroom {
    /// The minimum headroom for an index of this catalogue, if no board is unusually large.
    #[must_use]
    pub fn least(catalog: &Catalog) -> u64 {
        least(catalog.len())
    }

    /// The minimum headroom for an index of this cache, including its largest board. Reads all boards and ignores damaged
    /// ones.
    ///
    /// # Errors
    /// If the file system fails.
    pub fn least_for(cache: &Cache, catalog: &Catalog, threads: usize) -> Result<u64, FsError> {
        let measure = |largest: &mut usize, number: usize| {
            // A catalogue has at most a million combinations.
            let ordinal = Ordinal(u32::try_from(number).unwrap_or(u32::MAX));
            let Some(board) = catalog.combination(ordinal) else { return Ok(()) };
            match cache.measure(board) {
                Ok(bytes) => *largest = bytes.max(*largest),
                Err(ReadError::Damaged { .. }) => {}
                Err(ReadError::Store(error)) => return Err(error),
            }
            Ok(())
        };
        let largest = parallel::fold(threads, catalog.len(), RUN, || 0, measure)?.into_iter().max().unwrap_or(0);
        Ok(least_that(catalog.len(), |plan| plan.largest_board() >= largest))
    }
}

/// The memory that a block needs until it is written: its text, the compressor, and the compressor's growing output.
pub(super) const fn block_cost(text_bytes: usize) -> usize {
    text_bytes + text_bytes / 2 + COMPRESSOR_BYTES
}

fn tables(combinations: usize) -> u64 {
    combinations as u64 * COMBINATION_BYTES + TABLES_BYTES
}

fn least(combinations: usize) -> u64 {
    tables(combinations) + MIN_WORK
}

/// The minimum headroom, rounded up to a multiple of [`STEP`], with which `fits` is true. A larger headroom makes every
/// share larger, so a binary search finds it.
fn least_that(combinations: usize, fits: impl Fn(&Plan) -> bool) -> u64 {
    let bytes = |steps: u64| least(combinations) + steps * STEP;
    let fits = |steps| fits(&Plan::share_out(bytes(steps), combinations, 1));
    let (mut too_little, mut enough) = (None, 0);
    // No limit is as high as a terabyte.
    while enough < (1 << 40) / STEP && !fits(enough) {
        too_little = Some(enough);
        enough = (enough * 2).max(1);
    }
    while let Some(low) = too_little.filter(|low| low + 1 < enough) {
        let middle = u64::midpoint(low, enough);
        if fits(middle) { enough = middle } else { too_little = Some(middle) }
    }
    bytes(enough)
}

/// A headroom, divided into shares. Reading and exporting never overlap, so they use the same memory beside the columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    given: u64,
    combinations: usize,
    /// Everything except the tables.
    work: usize,
    /// The number of reading threads.
    pub(super) readers: usize,
    /// Per reading thread: the memory for a board's file and its text.
    pub(super) board: usize,
    /// The minimum for blocks of the export, however much the columns take.
    blocks: usize,
}

impl Plan {
    pub(super) fn new(bytes: u64, catalog: &Catalog, threads: usize) -> Result<Self, IndexError> {
        let least = Headroom::least(catalog);
        if bytes < least {
            return Err(IndexError::HeadroomTooSmall { needed: least, given: bytes });
        }
        Ok(Self::share_out(bytes, catalog.len(), threads))
    }

    /// Divides `bytes`, which must be at least the minimum.
    fn share_out(bytes: u64, combinations: usize, threads: usize) -> Self {
        // One part in 64 is reserved for fragmentation.
        let work = usize::try_from(bytes - tables(combinations)).unwrap_or(usize::MAX) / 64 * 63;
        let threads = threads.max(1);
        let readers = usize::try_from(work as u64 / READER_BYTES).unwrap_or(1).clamp(1, threads);
        Self {
            given: bytes,
            combinations,
            work,
            readers,
            board: (work / 4 / readers).min(BOARD_BYTES),
            blocks: block_cost(BLOCK_BYTES).saturating_mul(threads).clamp(work / 8, work / 2),
        }
    }

    /// A plan with these shares for columns and for boards that are read concurrently.
    #[cfg(test)]
    pub(super) fn for_test(columns: usize, board: usize, readers: usize) -> Self {
        let blocks = 64 << 20;
        Self { given: 0, combinations: 9, work: columns + blocks, readers, board, blocks }
    }

    /// The largest board that can be read on its own.
    pub(super) fn largest_board(&self) -> usize {
        self.work - self.work / 8 - THREAD_BYTES
    }

    /// The limit for columns, given `held` bytes in use: both while boards of up to `largest` bytes are read and while
    /// exporting.
    pub(super) fn columns(&self, largest: usize, held: usize) -> usize {
        let reading = (self.readers * (self.board + THREAD_BYTES)).max(largest + THREAD_BYTES);
        self.work.saturating_sub((reading + held).max(self.blocks))
    }

    /// The limit for blocks of the export, given the bytes that the columns take.
    pub(super) fn blocks(&self, columns: usize) -> usize {
        self.work.saturating_sub(columns)
    }

    /// Fails if `held` leaves so little memory for columns that the index would take a huge number of passes.
    pub(super) fn check_held(&self, largest: usize, held: usize) -> Result<(), IndexError> {
        let fits = |plan: &Self, share: usize| plan.columns(largest, held) >= plan.columns(largest, 0) / share;
        // The error names a headroom with some reserve.
        if fits(self, 32) { Ok(()) } else { Err(self.too_small(|plan| fits(plan, 16))) }
    }

    /// The error for columns of `bytes` bytes that cannot be split.
    pub(super) fn too_small_for_columns(&self, bytes: usize, largest: usize, held: usize) -> IndexError {
        self.too_small(|plan| plan.columns(largest, held) >= bytes)
    }

    /// The error for a board of `bytes` bytes.
    pub(super) fn too_small_for_board(&self, bytes: usize) -> IndexError {
        self.too_small(|plan| plan.largest_board() >= bytes)
    }

    /// The error for a block that takes `bytes` bytes.
    pub(super) fn too_small_for_block(&self, bytes: usize) -> IndexError {
        self.too_small(|plan| plan.blocks >= bytes)
    }

    fn too_small(&self, fits: impl Fn(&Self) -> bool) -> IndexError {
        let needed = least_that(self.combinations, fits).max(self.given + STEP);
        IndexError::HeadroomTooSmall { needed, given: self.given }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What an error names as needed is enough, and no more than a step above what is not.
        #[test]
        fn the_least_headroom_for_something_is_the_least(combinations in 1_usize..1_000_000, needed in 0_usize..4 << 30) {
            let shares: [fn(&Plan) -> usize; 4] =
                [|it| it.largest_board(), |it| it.blocks, |it| it.columns(0, 0), |it| it.columns(64 << 20, 3 << 20)];
            for share in shares {
                let bytes = least_that(combinations, |plan| share(plan) >= needed);
                let at = |bytes| share(&Plan::share_out(bytes, combinations, 1));
                prop_assert!(at(bytes) >= needed);
                prop_assert!(bytes == least(combinations) || at(bytes - STEP) < needed);
            }
        }

        /// Whatever is held at the same time fits.
        #[test]
        fn shares_fit_together(more in 0_u64..1 << 34, combinations in 1_usize..1_000_000, threads in 1_usize..64) {
            let bytes = least(combinations) + more;
            let plan = Plan::share_out(bytes, combinations, threads);
            // The rest is for what the allocator loses between pieces.
            let work = usize::try_from(bytes - tables(combinations)).unwrap();
            prop_assert!(plan.columns(0, 0) + plan.readers * (plan.board + THREAD_BYTES) <= work);
            prop_assert!(plan.columns(0, 0) + plan.blocks <= work && plan.columns(0, 0) >= work / 3);
            prop_assert!(plan.blocks >= block_cost(BLOCK_BYTES));
            let largest = plan.largest_board();
            prop_assert!(plan.columns(largest, 0) + largest + THREAD_BYTES <= work && plan.columns(largest, 0) > work / 10);
            prop_assert!((1..=threads).contains(&plan.readers));
        }
    }

    #[test]
    fn what_never_fits_ends_the_search() {
        assert!(least_that(1, |_| false) > 1 << 40);
    }

    #[test]
    fn no_headroom_is_too_large_to_be_shared_out() {
        for bytes in [least(1), 1 << 40, u64::MAX] {
            assert!((1..=64).contains(&Plan::share_out(bytes, 1, 64).readers));
        }
    }
}
