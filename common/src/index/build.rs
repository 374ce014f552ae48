//! Reading the whole cache, on all cores, into an index that can be exported.

use std::path::PathBuf;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::budget::{Budget, Plan};
use super::gzip::NotCompressed;
use super::order::{self, Order};
use super::parallel;
use super::shard::Shard;
use super::sorted::{self, Sorted};
use crate::domain::{Catalog, Combination, Ordinal};
use crate::runtime::fs::FileId;
use crate::runtime::fs::FsError;
use crate::store::{Buffers, Cache, Damage, ReadError};

/// How many boards a thread takes at once: neighbours, so that a folder is read by one.
pub(super) const RUN: usize = 16;

/// The most entries an index takes: rows are numbered with 32 bits.
const MOST_ROWS: usize = u32::MAX as usize;

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The file system refused.
    #[error(transparent)]
    Store(#[from] FsError),
    /// It was asked to stop.
    #[error("stopped while the index was being made")]
    Stopped,
    /// More entries than can be numbered.
    #[error("{0} entries: an index takes at most {MOST_ROWS}")]
    TooMany(usize),
    /// The compressor failed.
    #[error(transparent)]
    NotCompressed(#[from] NotCompressed),
    /// It cannot be made in the memory it was given.
    #[error("the index needs {needed} bytes of memory, and was given {given}")]
    BudgetTooSmall {
        /// The least number of bytes in which what did not fit would have.
        needed: u64,
        /// How many it was given.
        given: u64,
    },
}

/// What the cache holds of one combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BoardState {
    /// No file, or a damaged one.
    #[default]
    Missing,
    /// A board.
    Cached {
        /// When its file was written.
        written: SystemTime,
        /// How many entries it has.
        entries: u32,
    },
}

/// A board file that is not the board it should be.
#[derive(Debug)]
pub struct Damaged {
    /// Which board.
    pub board: Combination,
    /// Its file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub damage: Damage,
    /// Which file was read: another may stand there soon. None where nobody may look at it.
    pub file: Option<FileId>,
}

/// The index of a cache.
#[derive(Debug)]
pub struct Built {
    pub(super) content: Content,
    /// What was found of each combination, in catalogue order.
    pub states: Vec<BoardState>,
    /// The files that could not be used, in catalogue order; they are not touched.
    pub damaged: Vec<Damaged>,
    pub(super) entries: usize,
    pub(super) nameless: usize,
}

/// Where the rows are.
#[derive(Debug)]
pub(super) enum Content {
    /// All in memory.
    Held {
        /// What each thread has read.
        shards: Vec<Shard>,
        /// The order of all rows.
        order: Order,
    },
    /// In sorted runs on disk.
    Sorted(Sorted),
}

impl Built {
    /// Entries in the index.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Entries that have no driver name, and so are in no index.
    #[must_use]
    pub fn nameless(&self) -> usize {
        self.nameless
    }

    /// Cached boards, empty ones included.
    #[must_use]
    pub fn boards(&self) -> usize {
        self.states.iter().filter(|state| **state != BoardState::Missing).count()
    }

    /// Boards with entries.
    #[must_use]
    pub fn boards_with_entries(&self) -> usize {
        let has_entries = |state: &&BoardState| matches!(state, BoardState::Cached { entries: 1.., .. });
        self.states.iter().filter(has_entries).count()
    }

    /// All boards, each with its track layout's name and its entries.
    pub(super) fn named_boards(&self) -> Vec<(Ordinal, &str, u32)> {
        match &self.content {
            Content::Held { shards, .. } => shards.iter().flat_map(Shard::named_boards).collect(),
            Content::Sorted(sorted) => sorted.boards.all().collect(),
        }
    }

    /// Track layouts that have a cached board.
    #[must_use]
    pub fn tracks(&self, catalog: &Catalog) -> usize {
        let cached = |row: &&[BoardState]| row.iter().any(|state| *state != BoardState::Missing);
        self.states.chunks(catalog.classes().len()).filter(cached).count()
    }
}

/// A thread's shard, and what it found beside rows.
struct Reader {
    shard: Shard,
    buffers: Buffers,
    states: Vec<(Ordinal, BoardState)>,
    damaged: Vec<(Ordinal, Damaged)>,
}

/// Reads every board of the catalogue that the cache holds, and holds no more memory than the budget allows.
///
/// # Errors
/// When the file system refuses, there are too many entries, the budget is too small, or `stop` was cancelled.
pub fn build(
    cache: &Cache,
    catalog: &Catalog,
    threads: usize,
    budget: &Budget<'_>,
    stop: &CancellationToken,
) -> Result<Built, IndexError> {
    match budget.bytes {
        Some(bytes) => sorted::build(cache, catalog, Plan::new(bytes, catalog, threads)?, budget, stop),
        None => build_held(cache, catalog, threads, stop),
    }
}

/// Reads all of it into memory.
fn build_held(cache: &Cache, catalog: &Catalog, threads: usize, stop: &CancellationToken) -> Result<Built, IndexError> {
    let new = || Reader { shard: Shard::new(), buffers: Buffers::default(), states: Vec::new(), damaged: Vec::new() };
    let readers = parallel::fold(threads, catalog.len(), RUN, new, |reader, number| {
        if stop.is_cancelled() {
            return Err(IndexError::Stopped);
        }
        // A catalogue has at most a million combinations.
        let ordinal = Ordinal(u32::try_from(number).unwrap_or(u32::MAX));
        reader.read(cache, catalog, ordinal)
    })?;

    let mut states = vec![BoardState::Missing; catalog.len()];
    let (mut shards, mut damaged) = (Vec::with_capacity(readers.len()), Vec::new());
    for reader in readers {
        for (ordinal, state) in reader.states {
            states[ordinal.0 as usize] = state;
        }
        damaged.extend(reader.damaged);
        shards.push(reader.shard);
    }
    damaged.sort_by_key(|(ordinal, _)| *ordinal);
    let rows = shards.iter().map(|shard| shard.rows.len()).sum();
    if rows > MOST_ROWS {
        return Err(IndexError::TooMany(rows));
    }
    let nameless = shards.iter().map(|shard| shard.nameless).sum();
    let order = order::order(&mut shards);
    let damaged = damaged.into_iter().map(|(_, it)| it).collect();
    Ok(Built { content: Content::Held { shards, order }, states, damaged, entries: rows, nameless })
}

impl Reader {
    fn read(&mut self, cache: &Cache, catalog: &Catalog, ordinal: Ordinal) -> Result<(), IndexError> {
        let Some((track, class)) = catalog.at(ordinal) else { return Ok(()) };
        let board = Combination { track: track.id, class: class.id };
        let mut reading = self.shard.begin(ordinal);
        match cache.read(board, &mut self.buffers, &mut reading) {
            Ok(Some((head, written))) => {
                let entries = u32::try_from(reading.end(&head.name)).unwrap_or(u32::MAX);
                self.states.push((ordinal, BoardState::Cached { written, entries }));
            }
            Ok(None) => {}
            Err(ReadError::Damaged { path, damage, file }) => {
                reading.abandon();
                self.damaged.push((ordinal, Damaged { board, path, damage, file }));
            }
            Err(ReadError::Store(error)) => return Err(error.into()),
        }
        Ok(())
    }
}
