//! A file as the body of a response: read in chunks on a thread that may block, so that a slow disk delays nobody else.

use std::io::{self, Read as _};

use axum::body::{Body, Bytes};
use flate2::read::GzDecoder;
use futures_util::{TryStreamExt as _, stream};
use r3e_common::runtime::fs::FsError;
use r3e_common::runtime::fs::RegularFile;
use tokio::sync::OwnedSemaphorePermit;

/// How much of a file is held in memory.
pub(super) const CHUNK_BYTES: usize = 32 << 10;

/// Why a response ended early. The client sees that it is incomplete.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The disk, or a file that is not gzip.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The disk.
    #[error(transparent)]
    Store(#[from] FsError),
    /// The file was truncated meanwhile.
    #[error("the file ended {0} bytes early")]
    Short(u64),
    /// A bug.
    #[error("reading panicked")]
    Panicked,
}

/// Where the bytes come from.
#[derive(Debug)]
pub(super) enum Source {
    /// A part of the file as it is.
    Part {
        /// The file.
        file: RegularFile,
        /// The offset of the next byte.
        offset: u64,
        /// How many bytes are left.
        left: u64,
    },
    /// The decompressed file, whose length is not known.
    Inflated(Box<GzDecoder<RegularFile>>),
}

impl Source {
    /// The next chunk; empty at the end. May block.
    fn next(&mut self) -> Result<Bytes, ReadError> {
        match self {
            Self::Part { left: 0, .. } => Ok(Bytes::new()),
            Self::Part { file, offset, left } => {
                let max_bytes = usize::try_from(*left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
                let chunk = file.read_at(*offset, max_bytes)?;
                *offset += chunk.len() as u64;
                *left -= chunk.len() as u64;
                if chunk.is_empty() { Err(ReadError::Short(*left)) } else { Ok(chunk.into()) }
            }
            Self::Inflated(decoder) => {
                let mut chunk = Vec::with_capacity(CHUNK_BYTES);
                decoder.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
                Ok(chunk.into())
            }
        }
    }
}

/// The body of a response that sends that source. It keeps the permit until it is sent or dropped.
pub(super) fn file_body(source: Source, permit: OwnedSemaphorePermit) -> Body {
    let chunks = stream::try_unfold((source, permit), async |(mut source, permit)| {
        let reading = tokio::task::spawn_blocking(move || source.next().map(|chunk| (chunk, source)));
        let (chunk, source) = reading.await.map_err(|_| ReadError::Panicked)??;
        Ok((!chunk.is_empty()).then_some((chunk, (source, permit))))
    });
    Body::from_stream(chunks.inspect_err(|error: &ReadError| tracing::warn!(%error, "a file could not be sent whole")))
}
