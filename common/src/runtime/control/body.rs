//! What an answer consists of: a text, or a heap profile, which is given out piece by piece instead of being held.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use crate::runtime::memory::MemoryError;
use crate::runtime::memory::profile::Dump;

/// So much of a profile is held at a time.
const PIECE: u64 = 64 << 10;

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// All of it; none when it has been sent.
    Text(Option<Bytes>),
    /// A profile, of which so much has been sent.
    Profile(Dump, u64),
}

impl Answer {
    fn left(&self) -> u64 {
        match self {
            Self::Text(text) => text.as_ref().map_or(0, |text| text.len() as u64),
            Self::Profile(dump, sent) => dump.bytes() - sent,
        }
    }

    fn next(&mut self) -> Option<Result<Bytes, MemoryError>> {
        match self {
            Self::Text(text) => text.take().map(Ok),
            Self::Profile(dump, sent) => {
                let piece = (dump.bytes() - *sent).min(PIECE);
                let mut bytes = vec![0; usize::try_from(piece).ok().filter(|piece| *piece > 0)?];
                let read = dump.read_at(&mut bytes, *sent);
                *sent += piece;
                Some(read.map(|()| bytes.into()))
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = MemoryError;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, MemoryError>>> {
        // What is read here is in memory, so nobody waits.
        Poll::Ready(self.get_mut().next().map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}
