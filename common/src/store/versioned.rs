//! Small files of JSON that say in which format they are, for programs to remember something from run to run.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::runtime::fs::{self, FsError};

/// The most bytes that such a file can have.
const MAX_BYTES: u64 = 64 << 10;

/// What a file with a format in it holds.
#[derive(Debug)]
pub enum Versioned<T> {
    /// There is none.
    Missing,
    /// It is of this newer format, and nobody knows what else it says, and how.
    Newer(u32),
    /// It is not what it should be, and this is why.
    Garbage(serde_json::Error),
    /// It holds this.
    Content(T),
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// Reads a file of which the newest format known here is that.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read_versioned<T: DeserializeOwned>(path: &Path, newest: u32) -> Result<Versioned<T>, FsError> {
    let mut bytes = Vec::new();
    if fs::read_into(path, &mut bytes, MAX_BYTES)?.is_none() {
        return Ok(Versioned::Missing);
    }
    let text = fs::without_bom(&bytes);
    // The format alone: the rest of a newer one may be anything.
    if let Ok(Format { format }) = serde_json::from_slice(text)
        && format > newest
    {
        return Ok(Versioned::Newer(format));
    }
    Ok(serde_json::from_slice(text).map_or_else(Versioned::Garbage, Versioned::Content))
}
