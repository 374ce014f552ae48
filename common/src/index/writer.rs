//! What a kind of published file is to the export.

use serde::{Deserialize, Serialize};

use super::blocks::Workers;
use super::columns::Columns;
use super::error::IndexError;
use super::generation::Generation;
use super::keying::Keying;
use super::staged::Staged;
use crate::domain::Catalog;

/// What an export did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// How many files were written, for they differ from what was there before …
    pub written: usize,
    /// … and how many there are.
    pub files: usize,
    /// Keys of the driver index: names that differ in lower case.
    pub drivers: usize,
    /// Drivers by their ids, where today's files are published.
    pub ids: Option<usize>,
    /// Teams that have drivers, where today's files are published.
    pub teams: Option<usize>,
    /// Bytes of JSON of the driver index.
    pub json_bytes: u64,
    /// Bytes of it compressed.
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
    pub(super) keying: Keying<'a>,
    pub(super) workers: Workers<'a>,
    /// Bytes that all but the columns holds.
    pub(super) held: usize,
    pub(super) is_last: bool,
}

/// Takes the rows of one range of keys after another. Each range has all boards, and those rows whose keys are in it.
pub(super) trait Writer {
    /// Takes the next range of keys.
    fn range(&mut self, range: &Range<'_>, staged: &mut Staged) -> Result<(), IndexError>;

    /// Bytes held between ranges.
    fn held_bytes(&self) -> usize;
}
