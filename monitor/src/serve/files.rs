//! `/cache/…`: the published files, for those without a web server. Selector files there are is a list of forms, not what lies in
//! the folder; they are opened without following links, once, and sent from that handle whatever replaces them meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderValue, LAST_MODIFIED, RANGE, RETRY_AFTER, VARY,
};
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use r3e_common::runtime::fs::Beneath;
use r3e_common::runtime::fs::FsError;
use r3e_common::store::Published;
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::conditions::{Coding, Part, coding, header, part};
use super::preconditions::{Outcome, Validators};
use super::reply::{Content, JSON, Reply, precondition_failed, refusal, reply, set, set_text};
use super::stream::{FileStream, PIECE_BYTES, Source};

/// So many files are on their way at a time: each holds a piece, and where it is decompressed a window beside it.
const MOST_AT_A_TIME: usize = 64;

/// How long one waits for a place among them, and for the disk to open a file.
const PATIENCE: Duration = Duration::from_secs(5);

const GZIP: &str = "application/gzip";

/// The published files of a cache.
#[derive(Debug)]
pub(super) struct Files {
    cache: PathBuf,
    places: Arc<Semaphore>,
    clock: fn() -> SystemTime,
}

/// A file that was opened, and the form in which it goes out.
struct Opened {
    file: Beneath,
    validators: Validators,
    kind: &'static str,
    /// None where there is but one form.
    coding: Option<Coding>,
}

impl Files {
    /// Of that cache.
    pub(super) fn new(cache: PathBuf, clock: fn() -> SystemTime) -> Self {
        Self { cache, places: Arc::new(Semaphore::new(MOST_AT_A_TIME)), clock }
    }

    /// Answers a request for a path below `/cache/`.
    pub(super) async fn answer(&self, request: &Request<Incoming>, path: &str) -> Reply {
        let name = percent_decode_str(path).decode_utf8().ok().and_then(|it| it.parse::<Published>().ok());
        match name {
            None => not_here(),
            Some(name) => self.file(request, name).await,
        }
    }

    async fn file(&self, request: &Request<Incoming>, name: Published) -> Reply {
        let Ok(Ok(place)) = tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await else {
            let mut busy = refusal(StatusCode::SERVICE_UNAVAILABLE, "too many files are being sent: try again");
            set(&mut busy, RETRY_AFTER, "1");
            return busy;
        };
        let coding = match name {
            Published::DriverIndex => match coding(header(request, &ACCEPT_ENCODING)) {
                None => return refusal(StatusCode::NOT_ACCEPTABLE, "there are gzip and plain text"),
                some => some,
            },
            _ => None,
        };
        let cache = self.cache.clone();
        // One that waits for a thread when nobody waits for it any more never begins.
        let opening = AbortOnDropHandle::new(tokio::task::spawn_blocking(move || open(&cache, name, coding)));
        let opened = match tokio::time::timeout(PATIENCE, opening).await {
            Ok(Ok(Ok(Some(opened)))) => opened,
            Ok(Ok(Ok(None))) => return not_here(),
            Ok(Ok(Err(error))) => return failure(&error),
            Err(_hangs) => return refusal(StatusCode::SERVICE_UNAVAILABLE, "the disk does not answer: try again"),
            Ok(Err(_panicked)) => return refusal(StatusCode::INTERNAL_SERVER_ERROR, "opening panicked"),
        };
        match opened.validators.evaluate(request.headers()) {
            Outcome::Proceed => {}
            Outcome::NotModified => return opened.described(StatusCode::NOT_MODIFIED),
            Outcome::Failed => return opened.failed(),
        }
        let (length, is_head) = (opened.file.length(), request.method() == Method::HEAD);
        if opened.coding == Some(Coding::Identity) {
            if is_head {
                return opened.described(StatusCode::OK);
            }
            return opened
                .sent(StatusCode::OK, |file| FileStream::new(Source::Inflated(GzDecoder::new(file).into()), place));
        }
        let wanted = if is_head || !opened.validators.may_continue(request.headers(), (self.clock)()) {
            Part::All
        } else {
            part(header(request, &RANGE), length)
        };
        let (status, offset, count) = match wanted {
            Part::All => (StatusCode::OK, 0, length),
            Part::Bytes { first, count } => (StatusCode::PARTIAL_CONTENT, first, count),
            Part::Nowhere => {
                let mut nowhere = refusal(StatusCode::RANGE_NOT_SATISFIABLE, "there is no such part");
                set_text(&mut nowhere, CONTENT_RANGE, &format!("bytes */{length}"));
                return nowhere;
            }
        };
        let mut answer = if is_head {
            opened.described(status)
        } else if count <= PIECE_BYTES as u64 {
            // Most boards: read at once, and the place is free again.
            let (described, file) = opened.split(status);
            match tokio::task::spawn_blocking(move || whole(&file, offset, count)).await {
                Ok(Ok(bytes)) if bytes.len() as u64 != count => {
                    return refusal(StatusCode::INTERNAL_SERVER_ERROR, "the file became shorter while it was read");
                }
                Ok(Ok(bytes)) => described.map(|_| Content::from(bytes)),
                Ok(Err(error)) => return failure(&error),
                Err(_panicked) => return refusal(StatusCode::INTERNAL_SERVER_ERROR, "reading panicked"),
            }
        } else {
            opened.sent(status, |file| FileStream::new(Source::Part { file, offset, left: count }, place))
        };
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(count));
        if status == StatusCode::PARTIAL_CONTENT {
            set_text(&mut answer, CONTENT_RANGE, &format!("bytes {offset}-{}/{length}", offset + count - 1));
        }
        answer
    }
}

impl Opened {
    /// An answer without a body, and all headers that the file calls for.
    fn described(&self, status: StatusCode) -> Reply {
        let mut answer = reply(status, self.kind, Bytes::new());
        // It may be kept, and is asked for again each time: a file is replaced when it likes.
        set(&mut answer, CACHE_CONTROL, "no-cache");
        self.name_state(&mut answer);
        if self.coding.is_some() {
            set(&mut answer, VARY, "accept-encoding");
        }
        match self.coding {
            Some(Coding::Identity) => set(&mut answer, ACCEPT_RANGES, "none"),
            Some(Coding::Gzip) => {
                set(&mut answer, CONTENT_ENCODING, "gzip");
                set(&mut answer, ACCEPT_RANGES, "bytes");
            }
            None => set(&mut answer, ACCEPT_RANGES, "bytes"),
        }
        if status == StatusCode::NOT_MODIFIED {
            answer.headers_mut().remove(CONTENT_TYPE);
            answer.headers_mut().remove(CONTENT_ENCODING);
        }
        answer
    }

    /// Says which state of the file an answer is of.
    fn name_state(&self, answer: &mut Reply) {
        if let Some(tag) = &self.validators.tag {
            set_text(answer, ETAG, tag);
        }
        if let Some(modified) = self.validators.modified {
            set_text(answer, LAST_MODIFIED, &httpdate::fmt_http_date(modified));
        }
    }

    /// The file is not what the client relies on.
    fn failed(&self) -> Reply {
        let mut answer = precondition_failed();
        self.name_state(&mut answer);
        answer
    }

    fn split(self, status: StatusCode) -> (Reply, Beneath) {
        let described = self.described(status);
        (described, self.file)
    }

    fn sent(self, status: StatusCode, stream: impl FnOnce(Beneath) -> FileStream) -> Reply {
        let (described, file) = self.split(status);
        described.map(|_| Content::File(Box::new(stream(file))))
    }
}

/// Opens it. May block.
fn open(cache: &std::path::Path, name: Published, coding: Option<Coding>) -> Result<Option<Opened>, FsError> {
    let Some(file) = name.open(cache)? else { return Ok(None) };
    // The two forms are two things to whoever keeps them.
    let form = if coding == Some(Coding::Identity) { "-plain" } else { "" };
    let tag = format!("\"{}{form}\"", file.tag());
    let validators = Validators { tag: Some(tag), modified: Some(file.modified()) };
    let kind = match name {
        Published::DriverIndexFile | Published::Board(_) => GZIP,
        Published::DriverIndex | Published::TopCombinations | Published::Status => JSON,
    };
    Ok(Some(Opened { file, validators, kind, coding }))
}

fn whole(file: &Beneath, offset: u64, count: u64) -> Result<Bytes, FsError> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    file.read_at(offset, count).map(Bytes::from)
}

fn not_here() -> Reply {
    refusal(StatusCode::NOT_FOUND, "no such file is published")
}

/// The log says where; who asks need not know.
fn failure(error: &FsError) -> Reply {
    tracing::warn!(%error, "a published file could not be sent");
    refusal(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read")
}
