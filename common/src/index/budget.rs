//! How much memory an index may take, and how that is shared out.

use std::path::Path;

use super::build::{IndexError, RUN};
use super::parallel;
use crate::domain::{Catalog, Combination, Ordinal};
use crate::runtime::fs::FsError;
use crate::store::{Cache, ReadError};

/// What an index may hold in memory at any time.
#[derive(Debug, Clone, Copy)]
pub struct Budget<'a> {
    /// In bytes; with `None`, the index is held in memory as a whole, whatever that takes.
    pub bytes: Option<u64>,
    /// The folder for what has no place in memory: about 80 bytes of disk for an entry, twice that where there are so many
    /// runs that they are merged in passes. Nothing in it has a name for longer than a moment.
    pub spill: &'a Path,
    /// Gives what has been freed back to the kernel: called where one phase frees most of what the next one takes.
    pub give_back: fn(),
}

/// What each combination of the catalogue takes in the tables of boards: found and exported, or damaged and named.
const COMBINATION_BYTES: u64 = 192;

/// What tables take beside, and the names of track layouts.
const TABLES_BYTES: u64 = 512 << 10;

/// The least that is left for the work itself.
const LEAST_WORK: u64 = 6 << 20;

/// One more thread reads where each has at least this much.
const READER_BYTES: u64 = 6 << 20;

/// What a thread that reads holds beside what is counted: its stack, the state of a decompressor.
const THREAD_BYTES: usize = 128 << 10;

/// The most that records of one thread take: with more, sorting gets no faster, and address space is taken for nothing.
const MOST_RECORDS: usize = 256 << 20;

/// How finely the least budget for something is looked for.
const STEP: u64 = 64 << 10;

impl Budget<'_> {
    /// The least number of bytes that an index of this catalogue can be made in, where no board is unusually large.
    #[must_use]
    pub fn least(catalog: &Catalog) -> u64 {
        least(catalog.len())
    }

    /// The least number of bytes that an index of this cache can be made in, its largest board included. Reads all boards,
    /// and leaves out those that are damaged.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn least_for(cache: &Cache, catalog: &Catalog, threads: usize) -> Result<u64, FsError> {
        let measure = |largest: &mut usize, number: usize| {
            // A catalogue has at most a million combinations.
            let ordinal = Ordinal(u32::try_from(number).unwrap_or(u32::MAX));
            let Some((track, class)) = catalog.at(ordinal) else { return Ok(()) };
            match cache.measure(Combination { track: track.id, class: class.id }) {
                Ok(bytes) => *largest = bytes.max(*largest),
                Err(ReadError::Damaged { .. }) => {}
                Err(ReadError::Store(error)) => return Err(error),
            }
            Ok(())
        };
        let largest = parallel::fold(threads, catalog.len(), RUN, || 0, measure)?.into_iter().max().unwrap_or(0);
        Ok(least_that(catalog.len(), |plan| plan.large.board >= largest))
    }
}

fn tables(combinations: usize) -> u64 {
    combinations as u64 * COMBINATION_BYTES + TABLES_BYTES
}

fn least(combinations: usize) -> u64 {
    tables(combinations) + LEAST_WORK
}

/// The least budget, to the next [`STEP`], whose plan fits. Shares grow with the budget.
fn least_that(combinations: usize, fits: impl Fn(&Plan) -> bool) -> u64 {
    let bytes = |steps: u64| least(combinations) + steps * STEP;
    let fits = |steps| fits(&Plan::share_out(bytes(steps), combinations, 1));
    let (mut too_little, mut enough) = (None, 0);
    // A terabyte is beyond all limits.
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

/// A budget, shared out. Reading and exporting follow one another, so each may use all of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// All of it.
    pub(super) given: u64,
    /// How many combinations the catalogue has.
    pub(super) combinations: usize,
    /// For the names of track layouts.
    pub(super) names: usize,
    /// Threads that read at the same time, each with the shares that follow.
    pub(super) readers: usize,
    /// While most boards are read.
    pub(super) usual: Shares,
    /// For the boards that are too large for that: they are read afterwards, one by one.
    pub(super) large: Shares,
    /// A buffer of a run that is written or read.
    pub(super) buffer: usize,
    /// All runs that are merged at a time.
    pub(super) cursors: usize,
    /// Blocks of the export, from being filled to being written.
    pub(super) blocks: usize,
}

/// What one thread that reads may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    /// Records that were not written yet.
    pub(super) records: usize,
    /// A board's file and its text.
    pub(super) board: usize,
}

impl Plan {
    pub(super) fn new(bytes: u64, catalog: &Catalog, threads: usize) -> Result<Self, IndexError> {
        let least = Budget::least(catalog);
        if bytes < least {
            return Err(IndexError::BudgetTooSmall { needed: least, given: bytes });
        }
        Ok(Self::share_out(bytes, catalog.len(), threads))
    }

    /// Shares out so many bytes, the least or more.
    fn share_out(bytes: u64, combinations: usize, threads: usize) -> Self {
        let work = usize::try_from(bytes - tables(combinations)).unwrap_or(usize::MAX);
        let more_names = work / 64;
        let work = work - more_names;
        let readers = usize::try_from(work as u64 / READER_BYTES).unwrap_or(1).clamp(1, threads.max(1));
        let share = work / readers - THREAD_BYTES;
        let blocks = work / 2;
        Self {
            given: bytes,
            combinations,
            names: combinations * 16 + (256 << 10) + more_names,
            readers,
            usual: Shares { records: (share - share / 4).min(MOST_RECORDS), board: share / 4 },
            large: Shares { records: (work / 8).min(MOST_RECORDS), board: work - work / 8 - THREAD_BYTES },
            buffer: 64 << 10,
            cursors: work - blocks,
            blocks,
        }
    }

    /// The error for work that does not fit into its share, with the least budget in which it would.
    pub(super) fn too_small(&self, fits: impl Fn(&Self) -> bool) -> IndexError {
        IndexError::BudgetTooSmall { needed: least_that(self.combinations, fits), given: self.given }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What an error names as needed is enough, and no more than a step above what is not.
        #[test]
        fn the_least_budget_for_something_is_the_least(combinations in 1_usize..1_000_000, needed in 0_usize..4 << 30) {
            let shares: [fn(&Plan) -> usize; 4] = [|it| it.large.board, |it| it.cursors, |it| it.blocks, |it| it.names];
            for share in shares {
                let bytes = least_that(combinations, |plan| share(plan) >= needed);
                let at = |bytes| share(&Plan::share_out(bytes, combinations, 1));
                prop_assert!(at(bytes) >= needed);
                prop_assert!(bytes == least(combinations) || at(bytes - STEP) < needed);
            }
        }
    }

    #[test]
    fn what_never_fits_ends_the_search() {
        assert!(least_that(1, |_| false) > 1 << 40);
    }

    #[test]
    fn no_budget_is_so_large_that_its_shares_cannot_be_had() {
        for bytes in [least(1), 1 << 40, u64::MAX] {
            let Plan { readers, usual, large, .. } = Plan::share_out(bytes, 1, 64);
            assert!((1..=64).contains(&readers) && usual.records.max(large.records) <= MOST_RECORDS);
        }
    }
}
