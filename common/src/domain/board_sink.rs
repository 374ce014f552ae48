//! Receives the entries of a board while its pages arrive: the client needs no file format, and no page has to be kept.

use serde_json::value::RawValue;

use super::{Combination, Validators};

/// Maximum entries of a board.
pub const MAX_BOARD_ENTRIES: usize = 200_000;

/// A board under construction.
pub trait BoardSink {
    /// Starts a board of the track layout with that name. `version` may be empty.
    fn begin(board: Combination, name: &str, version: &Validators) -> Self;

    /// Appends an entry. Returns `false` once the board exceeds its limits; further entries are then ignored.
    #[must_use]
    fn push(&mut self, entry: &RawValue) -> bool;

    /// The number of entries so far.
    fn entries(&self) -> usize;
}
