//! What the fuzz targets need of this room; part of fuzzing builds only.

use super::board_file::{self, BoardHead, Damage, Entries};
use super::board_version;
use crate::domain::Combination;
use crate::domain::Validators;

/// Inflates a board file into `text`.
///
/// # Errors
/// When it is not one whole gzip member of UTF-8.
pub fn inflate<'t>(compressed: &[u8], text: &'t mut Vec<u8>) -> Result<&'t str, Damage> {
    board_file::inflate(compressed, text)
}

/// What the beginning of a file says of the version of its board.
#[must_use]
pub fn validators(beginning: &[u8]) -> Validators {
    board_version::read(beginning)
}

/// Reads a board's JSON.
///
/// # Errors
/// When it is not the board of `expected`.
pub fn parse<'a>(
    text: &'a str,
    expected: Combination,
    entries: &mut impl Entries<'a>,
) -> Result<BoardHead<'a>, Damage> {
    board_file::parse(text, expected, entries)
}
