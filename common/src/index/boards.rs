//! What the cache holds of each combination.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::domain::{Catalog, Combination, Track};
use crate::runtime::fs::FileId;
use crate::store::Damage;

/// The cached board of one combination.
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

/// A damaged board file, or one of another board.
#[derive(Debug)]
pub struct Damaged {
    /// Which board.
    pub board: Combination,
    /// Its file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub damage: Damage,
    /// The file that was read, since another may replace it. `None` if it cannot be examined.
    pub file: Option<FileId>,
}

/// The result of reading a cache.
#[derive(Debug)]
pub struct Built {
    /// The state of each combination, in catalogue order.
    pub states: Vec<BoardState>,
    /// Damaged files, in catalogue order. They are left in place.
    pub damaged: Vec<Damaged>,
    pub(super) entries: usize,
    pub(super) nameless: usize,
}

impl Built {
    /// Entries in the index.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Entries without a driver name, which are not in the index.
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

    /// Track layouts that have a cached board.
    pub fn tracks<'a>(&'a self, catalog: &'a Catalog) -> impl Iterator<Item = &'a Track> {
        let cached = |row: &[BoardState]| row.iter().any(|state| *state != BoardState::Missing);
        let rows = catalog.tracks().iter().zip(self.states.chunks(catalog.classes().len()));
        rows.filter(move |(_, row)| cached(row)).map(|(track, _)| track)
    }
}
