//! What the fuzz targets need of this room; part of fuzzing builds only.

use std::borrow::Cow;

use reqwest::header::HeaderMap;
use serde_json::value::RawValue;

use super::Failure;
use super::page;

/// A body as text, where nothing declares its charset.
///
/// # Errors
/// When it is no valid text.
pub fn text(body: &[u8]) -> Result<Cow<'_, str>, Failure> {
    page::text(body, &HeaderMap::new())
}

/// The entries of a page, and how many elements its list has.
///
/// # Errors
/// When it is no page for which `asked` entries were asked.
pub fn read(text: &str, asked: usize) -> Result<(Vec<&RawValue>, usize), Failure> {
    page::read_first(text, asked).map(|page| (page.entries, page.listed))
}
