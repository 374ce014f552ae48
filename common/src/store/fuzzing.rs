//! Access for the fuzz targets; only in fuzzing builds.

use super::board_file::{self, BoardHead, Damage, Entries};
use super::board_version;
use crate::domain::Combination;
use crate::domain::Validators;

/// Inflates a board file into `text`.
///
/// # Errors
/// If it is not one complete gzip member of UTF-8.
pub fn inflate<'t>(compressed: &[u8], text: &'t mut Vec<u8>) -> Result<&'t str, Damage> {
    board_file::inflate(compressed, text)
}

/// The version at the beginning of a board file.
#[must_use]
pub fn validators(beginning: &[u8]) -> Validators {
    board_version::read(beginning)
}

/// Parses a board's JSON.
///
/// # Errors
/// If it is not the board `expected`.
pub fn parse<'a>(
    text: &'a str,
    expected: Combination,
    entries: &mut impl Entries<'a>,
) -> Result<BoardHead<'a>, Damage> {
    board_file::parse(text, expected, entries)
}
