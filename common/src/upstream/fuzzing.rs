//! What the fuzz targets need of this room; part of fuzzing builds only.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::Failure;
use super::page;

/// A body as text, as the client makes it.
///
/// # Errors
/// When it is not UTF-8 and may not stay so.
pub fn text(body: &[u8], stay: bool) -> Result<Cow<'_, str>, Failure> {
    page::text(body, stay)
}

/// The entries of a page, and how many elements its list has.
///
/// # Errors
/// When it is no page for which `asked` entries were asked.
pub fn read(text: &str, asked: usize) -> Result<(Vec<&RawValue>, usize), Failure> {
    page::read(text, asked).map(|page| (page.entries, page.listed))
}
