//! Small JSON files with a format version, for state that outlives a run.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::runtime::fs::{self, FsError};

const MAX_BYTES: u64 = 64 << 10;

/// The result of reading a versioned file.
#[derive(Debug)]
pub enum Versioned<T> {
    /// There is no such file.
    Missing,
    /// It has this newer format, and its content is unknown.
    Newer(u32),
    /// It is invalid.
    Garbage(serde_json::Error),
    /// Its content.
    Content(T),
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// Reads a file whose newest known format is `newest`.
///
/// # Errors
/// If the file exists but cannot be read.
pub fn read_versioned<T: DeserializeOwned>(path: &Path, newest: u32) -> Result<Versioned<T>, FsError> {
    let mut bytes = Vec::new();
    if fs::read_into(path, &mut bytes, MAX_BYTES)?.is_none() {
        return Ok(Versioned::Missing);
    }
    let text = fs::without_bom(&bytes);
    // The format first, since the rest of a newer one may be anything.
    if let Ok(Format { format }) = serde_json::from_slice(text)
        && format > newest
    {
        return Ok(Versioned::Newer(format));
    }
    Ok(serde_json::from_slice(text).map_or_else(Versioned::Garbage, Versioned::Content))
}
