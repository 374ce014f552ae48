//! Answers: a body that is there or comes from a file, and the headers that all have.

use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};

use super::stream::{Broken, FileStream};

/// What a body is made of.
#[derive(Debug)]
pub(super) enum Content {
    /// All of it, until it is sent.
    Whole(Option<Bytes>),
    /// Of a file, piece by piece.
    File(Box<FileStream>),
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|it| !it.is_empty()))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|it| Ok(Frame::data(it)))),
            Self::File(stream) => stream.poll_piece(context).map(|piece| piece.map(|it| it.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |it| it.len() as u64)),
            Self::File(stream) => stream.length().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

pub(super) type Reply = Response<Content>;

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";

/// What the page may load: what is served here, and nothing else from anywhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An answer of that kind.
pub(super) fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Content::from(body.into()));
    *reply.status_mut() = status;
    set(&mut reply, CONTENT_TYPE, kind);
    set(&mut reply, CACHE_CONTROL, "no-store");
    reply
}

/// An answer that says why there is no other.
pub(super) fn refusal(status: StatusCode, why: impl Display) -> Reply {
    reply(status, TEXT, format!("{why}\n"))
}

/// The client has what there is.
pub(super) fn not_modified() -> Reply {
    let mut answer = reply(StatusCode::NOT_MODIFIED, TEXT, Bytes::new());
    answer.headers_mut().remove(CONTENT_TYPE);
    answer
}

/// What the client relies on is not so.
pub(super) fn precondition_failed() -> Reply {
    refusal(StatusCode::PRECONDITION_FAILED, "what is here is not what the request names")
}

/// Sets a header of an answer.
pub(super) fn set(reply: &mut Reply, name: HeaderName, value: &'static str) {
    reply.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// Sets a header of an answer to a text that was made here, of visible ASCII.
pub(super) fn set_text(reply: &mut Reply, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}

/// What every answer says to browsers.
pub(super) fn secure(reply: &mut Reply) {
    set(reply, CONTENT_SECURITY_POLICY, POLICY);
    set(reply, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(reply, X_FRAME_OPTIONS, "DENY");
    set(reply, REFERRER_POLICY, "no-referrer");
}
