//! The bytes of a file, piece by piece, read where reading may block: a slow disk holds up nobody else.

use std::io::{self, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use flate2::read::GzDecoder;
use hyper::body::Bytes;
use r3e_common::runtime::fs::Beneath;
use r3e_common::runtime::fs::FsError;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

/// The most bytes that are held of a file.
pub(super) const PIECE_BYTES: usize = 32 << 10;

/// Why an answer broke off: whoever reads it sees that it is not whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The disk, or a file that is no gzip.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The disk.
    #[error(transparent)]
    Store(#[from] FsError),
    /// It became shorter while it was read.
    #[error("the file ended {0} bytes early")]
    Short(u64),
    /// A fault of ours.
    #[error("reading panicked")]
    Panicked,
}

/// Where bytes come from.
#[derive(Debug)]
pub(super) enum Source {
    /// So many from there on, as they are.
    Part {
        /// The file.
        file: Beneath,
        /// Where the next is.
        offset: u64,
        /// How many are left.
        left: u64,
    },
    /// Decompressed; how many that will be is not known.
    Inflated(Box<GzDecoder<Beneath>>),
}

impl Source {
    /// The next piece; empty at the end. May block.
    fn next(&mut self) -> Result<Bytes, Broken> {
        match self {
            Self::Part { left: 0, .. } => Ok(Bytes::new()),
            Self::Part { file, offset, left } => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(PIECE_BYTES);
                let piece = file.read_at(*offset, most)?;
                *offset += piece.len() as u64;
                *left -= piece.len() as u64;
                if piece.is_empty() { Err(Broken::Short(*left)) } else { Ok(piece.into()) }
            }
            Self::Inflated(decoder) => {
                let mut piece = Vec::with_capacity(PIECE_BYTES);
                decoder.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
                Ok(piece.into())
            }
        }
    }
}

type Reading = JoinHandle<(Source, Result<Bytes, Broken>)>;

/// A file on its way to someone. It has a place among all that are, until it is dropped.
#[derive(Debug)]
pub(super) struct FileStream {
    source: Option<Source>,
    reading: Option<Reading>,
    length: Option<u64>,
    _place: OwnedSemaphorePermit,
}

impl FileStream {
    /// From that source.
    pub(super) fn new(source: Source, place: OwnedSemaphorePermit) -> Self {
        let length = match &source {
            Source::Part { left, .. } => Some(*left),
            Source::Inflated(_) => None,
        };
        Self { source: Some(source), reading: None, length, _place: place }
    }

    /// How many bytes are to come in all, where that is known.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next piece; none at the end.
    pub(super) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if let Some(mut source) = self.source.take() {
            self.reading = Some(tokio::task::spawn_blocking(move || {
                let piece = source.next();
                (source, piece)
            }));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let piece = match read {
            Ok((_, Ok(piece))) if piece.is_empty() => return Poll::Ready(None),
            Ok((source, Ok(piece))) => {
                self.source = Some(source);
                if let Some(length) = &mut self.length {
                    *length -= piece.len() as u64;
                }
                Ok(piece)
            }
            Ok((_, Err(error))) => Err(error),
            Err(_) => Err(Broken::Panicked),
        };
        if let Err(error) = &piece {
            tracing::warn!(%error, "a file could not be sent whole");
        }
        Poll::Ready(Some(piece))
    }
}
