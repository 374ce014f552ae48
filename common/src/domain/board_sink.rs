//! What takes the entries of a board while its pages arrive, so that the client needs no file format and no page has to be kept.

use serde_json::value::RawValue;

use super::{Combination, Validators};

/// The most entries of a board.
pub const MAX_BOARD_ENTRIES: usize = 200_000;

/// A board under construction.
pub trait BoardSink {
    /// Begins the board of a track layout of that name, which has this version, if any.
    fn begin(board: Combination, name: &str, version: &Validators) -> Self;

    /// Appends an entry. Returns `false`, and takes nothing more, once the board is larger than a board may be.
    #[must_use]
    fn push(&mut self, entry: &RawValue) -> bool;

    /// How many entries it has.
    fn entries(&self) -> usize;
}
