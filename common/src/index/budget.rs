//! How much memory an index may take, and how that is shared out.

use std::path::Path;

use super::build::IndexError;
use crate::domain::Catalog;

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

impl Budget<'_> {
    /// The least number of bytes that an index of this catalogue can be made in, where no board is unusually large.
    #[must_use]
    pub fn least(catalog: &Catalog) -> u64 {
        tables(catalog) + LEAST_WORK
    }
}

fn tables(catalog: &Catalog) -> u64 {
    catalog.len() as u64 * COMBINATION_BYTES + TABLES_BYTES
}

/// A budget, shared out. Reading and exporting follow one another, so each may use all of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// All of it.
    pub(super) given: u64,
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
        let work = usize::try_from(bytes - tables(catalog)).unwrap_or(usize::MAX);
        let readers = usize::try_from(work as u64 / READER_BYTES).unwrap_or(1).clamp(1, threads.max(1));
        let share = work / readers - THREAD_BYTES;
        let blocks = work / 2;
        Ok(Self {
            given: bytes,
            names: catalog.len() * 16 + (256 << 10),
            readers,
            usual: Shares { records: share - share / 4, board: share / 4 },
            large: Shares { records: work / 8, board: work - work / 8 - THREAD_BYTES },
            buffer: 64 << 10,
            cursors: work - blocks,
            blocks,
        })
    }

    /// The error for work that needs so much more than its share.
    pub(super) fn too_small(&self, needed: usize, share: usize) -> IndexError {
        IndexError::BudgetTooSmall { needed: self.given + needed.saturating_sub(share) as u64, given: self.given }
    }
}
