//! What a kind of published file is to the export.

use tokio_util::sync::CancellationToken;

use super::columns::Columns;
use super::error::IndexError;
use super::generation::Generation;
use super::headroom::Plan;
use crate::domain::Catalog;
use crate::runtime::fs::FsError;

/// What an export did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Whether any file differs from what was there before.
    pub changed: bool,
    /// Distinct drivers: keys of the index.
    pub drivers: usize,
    /// Bytes of JSON of the driver index.
    pub json_bytes: u64,
    /// Bytes of it compressed.
    pub gzip_bytes: u64,
    /// Which index was written; `top_combinations.json` has it too.
    pub generation: Generation,
}

/// A range of keys to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range<'a> {
    pub(super) columns: &'a Columns,
    pub(super) catalog: &'a Catalog,
    pub(super) threads: usize,
    /// `None` without a limit.
    pub(super) plan: Option<Plan>,
    pub(super) stop: &'a CancellationToken,
    pub(super) is_first: bool,
    pub(super) is_last: bool,
}

/// Writes one kind of published file from the columns.
pub(super) trait Writer {
    /// Writes the next range of keys. Each has all boards, and those rows whose keys are in it.
    fn range(&mut self, range: &Range<'_>) -> Result<(), IndexError>;

    /// Bytes held between ranges.
    fn held_bytes(&self) -> usize;

    /// Ends the files, and adds what is known of them; what earlier kinds have added is there.
    fn finish(&mut self, exported: &mut Exported, catalog: &Catalog) -> Result<(), IndexError>;

    /// Puts the files in their place; returns whether any differs from what was there.
    fn commit(self: Box<Self>) -> Result<bool, FsError>;
}
