//! The interface between the export and one kind of published file.

use serde::{Deserialize, Serialize};

use super::blocks::Workers;
use super::columns::Columns;
use super::error::IndexError;
use super::generation::Generation;
use super::sort_key::SortKey;
use super::staged::Staged;
use crate::domain::Catalog;

/// The result of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// How many files were written because they differ from before …
    pub written: usize,
    /// … and how many there are.
    pub files: usize,
    /// Keys of the driver index: distinct names in lower case.
    pub drivers: usize,
    /// Drivers by id, if files for newer front ends are published.
    pub ids: Option<usize>,
    /// Teams that have drivers, if files for newer front ends are published.
    pub teams: Option<usize>,
    /// The size of the driver index's JSON.
    pub json_bytes: u64,
    /// The size of the driver index, compressed.
    pub gzip_bytes: u64,
    /// Which index was written; `top_combinations.json` has it too.
    pub generation: Generation,
}

impl Exported {
    /// Whether any file differs from what was there before.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.written > 0
    }
}

/// A range of keys to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range<'a> {
    pub(super) columns: &'a Columns,
    pub(super) catalog: &'a Catalog,
    pub(super) sort_key: SortKey<'a>,
    pub(super) workers: Workers<'a>,
    /// Bytes held by everything except the columns.
    pub(super) held: usize,
    pub(super) is_last: bool,
}

/// Receives one range of keys after another. Each range has all boards, and the rows whose keys are in it.
pub(super) trait Writer {
    /// Writes the next range of keys.
    fn range(&mut self, range: &Range<'_>, staged: &mut Staged) -> Result<(), IndexError>;

    /// Bytes held between ranges.
    fn held_bytes(&self) -> usize;
}
