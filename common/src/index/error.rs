//! Why there is no index.

use std::path::PathBuf;

use super::gzip::NotCompressed;
use crate::runtime::fs::FsError;

/// The most entries that can be indexed at a time: rows are numbered with 32 bits.
pub(super) const MAX_ROWS: usize = u32::MAX as usize;

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The file system refused.
    #[error(transparent)]
    Store(#[from] FsError),
    /// It was asked to stop.
    #[error("stopped while the index was being made")]
    Stopped,
    /// More entries than can be numbered.
    #[error("{0} entries: an index takes at most {MAX_ROWS}")]
    TooMany(usize),
    /// The compressor failed.
    #[error(transparent)]
    NotCompressed(#[from] NotCompressed),
    /// It cannot be made in the memory it was given.
    #[error("the index needs {needed} bytes of memory, and was given {given}")]
    HeadroomTooSmall {
        /// The least number of bytes in which what did not fit would have.
        needed: u64,
        /// How many it was given.
        given: u64,
    },
    /// A board was replaced between two passes over the cache.
    #[error("{} changed while the index was being made", .0.display())]
    Changed(PathBuf),
}
