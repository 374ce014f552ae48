//! Access for the fuzz targets; only in fuzzing builds.

use std::borrow::Cow;

use reqwest::header::HeaderMap;
use serde_json::value::RawValue;

use super::Failure;
use super::page;

/// Decodes a body without headers.
///
/// # Errors
/// If it is not valid text.
pub fn text(body: &[u8]) -> Result<Cow<'_, str>, Failure> {
    page::text(body, &HeaderMap::new())
}

/// The usable entries of a page, and the number of its elements.
///
/// # Errors
/// If it is not a page of up to `requested` entries.
pub fn read(text: &str, requested: usize) -> Result<(Vec<&RawValue>, usize), Failure> {
    page::read_first(text, requested).map(|page| (page.entries, page.listed))
}
