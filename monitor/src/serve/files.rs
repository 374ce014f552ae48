//! `/cache/…`: the published files, for those without a web server. A list of names decides what is published, not the contents
//! of the folder. A file is opened once, through links only if they stay in the cache, and sent from that handle even if it is
//! replaced meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER, VARY};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use flate2::read::GzDecoder;
use headers::{ContentLength, ContentRange, HeaderMapExt as _, LastModified};
use percent_encoding::percent_decode_str;
use r3e_common::runtime::fs::FsError;
use r3e_common::runtime::fs::RegularFile;
use r3e_common::store::Published;
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::file_body::{CHUNK_BYTES, Source, file_body};
use super::headers::{Coding, Outcome, Part, Validators, coding, part};
use super::reply::{JSON, precondition_failed, refusal, reply, set};

/// The limit on files being sent: each holds a chunk, and a window if it is decompressed.
const MAX_FILES: usize = 64;

/// How long a request waits for a permit, and for the disk to open a file.
const TIMEOUT: Duration = Duration::from_secs(5);

const GZIP: &str = "application/gzip";

/// The published files of a cache.
#[derive(Debug)]
pub(super) struct Files {
    cache: PathBuf,
    permits: Arc<Semaphore>,
    clock: fn() -> SystemTime,
}

/// An open file, and the form in which it is sent.
struct Opened {
    file: RegularFile,
    validators: Validators,
    kind: &'static str,
    /// None if the file has one form only.
    coding: Option<Coding>,
}

impl Files {
    /// The files of that cache.
    pub(super) fn new(cache: PathBuf, clock: fn() -> SystemTime) -> Self {
        Self { cache, permits: Arc::new(Semaphore::new(MAX_FILES)), clock }
    }

    /// Answers a request for a path below `/cache/`.
    pub(super) async fn answer(&self, method: &Method, headers: &HeaderMap, path: &str) -> Response {
        let name = percent_decode_str(path).decode_utf8().ok().and_then(|it| it.parse::<Published>().ok());
        match name {
            None => not_found(),
            Some(name) => self.file(method, headers, name).await,
        }
    }

    async fn file(&self, method: &Method, headers: &HeaderMap, name: Published) -> Response {
        let Ok(Ok(permit)) = tokio::time::timeout(TIMEOUT, Arc::clone(&self.permits).acquire_owned()).await else {
            let mut busy = refusal(StatusCode::SERVICE_UNAVAILABLE, "too many files are being sent: try again");
            set(&mut busy, RETRY_AFTER, "1");
            return busy;
        };
        let coding = match name {
            Published::DriverIndex => match coding(headers) {
                None => return refusal(StatusCode::NOT_ACCEPTABLE, "available codings: gzip and identity"),
                some => some,
            },
            _ => None,
        };
        let cache = self.cache.clone();
        // Never begins if the client disconnects while it waits for a thread.
        let opening = AbortOnDropHandle::new(tokio::task::spawn_blocking(move || open(&cache, &name, coding)));
        let opened = match tokio::time::timeout(TIMEOUT, opening).await {
            Ok(Ok(Ok(Some(opened)))) => opened,
            Ok(Ok(Ok(None))) => return not_found(),
            Ok(Ok(Err(error))) => return failure(&error),
            Err(_timeout) => return refusal(StatusCode::SERVICE_UNAVAILABLE, "the disk does not answer: try again"),
            Ok(Err(_panicked)) => return refusal(StatusCode::INTERNAL_SERVER_ERROR, "opening panicked"),
        };
        match opened.validators.evaluate(headers) {
            Outcome::Proceed => {}
            Outcome::NotModified => return opened.response(StatusCode::NOT_MODIFIED),
            Outcome::Failed => return opened.failed(),
        }
        let (length, is_head) = (opened.file.length(), *method == Method::HEAD);
        if opened.coding == Some(Coding::Identity) {
            let response = opened.response(StatusCode::OK);
            let body = file_body(Source::Inflated(GzDecoder::new(opened.file).into()), permit);
            return response.map(|empty| if is_head { empty } else { body });
        }
        let wanted = if is_head || !opened.validators.may_continue(headers, (self.clock)()) {
            Part::All
        } else {
            part(headers, length)
        };
        let (status, offset, count) = match wanted {
            Part::All => (StatusCode::OK, 0, length),
            Part::Bytes { first, count } => (StatusCode::PARTIAL_CONTENT, first, count),
            Part::Unsatisfiable => {
                let mut refusal = refusal(StatusCode::RANGE_NOT_SATISFIABLE, "the range is outside the file");
                refusal.headers_mut().typed_insert(ContentRange::unsatisfied_bytes(length));
                return refusal;
            }
        };
        let mut response = opened.response(status);
        response.headers_mut().typed_insert(ContentLength(count));
        if status == StatusCode::PARTIAL_CONTENT
            && let Ok(range) = ContentRange::bytes(offset..offset + count, length)
        {
            response.headers_mut().typed_insert(range);
        }
        if is_head {
            return response;
        }
        if count > CHUNK_BYTES as u64 {
            let source = Source::Part { file: opened.file, offset, left: count };
            return response.map(|_| file_body(source, permit));
        }
        // Most boards: read at once, so that an error can still be reported and the permit is free again.
        match tokio::task::spawn_blocking(move || whole(&opened.file, offset, count)).await {
            Ok(Ok(bytes)) if bytes.len() as u64 != count => {
                refusal(StatusCode::INTERNAL_SERVER_ERROR, "the file was truncated while it was read")
            }
            Ok(Ok(bytes)) => response.map(|_| Body::from(bytes)),
            Ok(Err(error)) => failure(&error),
            Err(_panicked) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "reading panicked"),
        }
    }
}

impl Opened {
    /// A response without a body, and all headers that the file needs.
    fn response(&self, status: StatusCode) -> Response {
        let mut response = reply(status, self.kind, Body::empty());
        // Revalidated each time: the file may be replaced at any moment.
        set(&mut response, CACHE_CONTROL, "no-cache");
        self.add_validators(&mut response);
        if self.coding.is_some() {
            set(&mut response, VARY, "accept-encoding");
        }
        set(&mut response, ACCEPT_RANGES, if self.coding == Some(Coding::Identity) { "none" } else { "bytes" });
        if status == StatusCode::NOT_MODIFIED {
            response.headers_mut().remove(CONTENT_TYPE);
        } else if self.coding == Some(Coding::Gzip) {
            set(&mut response, CONTENT_ENCODING, "gzip");
        }
        response
    }

    fn add_validators(&self, response: &mut Response) {
        if let Some(tag) = &self.validators.tag {
            response.headers_mut().typed_insert(tag.clone());
        }
        if let Some(modified) = self.validators.modified {
            response.headers_mut().typed_insert(LastModified::from(modified));
        }
    }

    /// A precondition of the request is false.
    fn failed(&self) -> Response {
        let mut response = precondition_failed();
        self.add_validators(&mut response);
        response
    }
}

/// Opens the file. May block.
fn open(cache: &std::path::Path, name: &Published, coding: Option<Coding>) -> Result<Option<Opened>, FsError> {
    let Some(file) = name.open(cache)? else { return Ok(None) };
    // Caches keep the two forms apart by their tags.
    let form = if coding == Some(Coding::Identity) { "-plain" } else { "" };
    let tag = format!("\"{}{form}\"", file.tag()).parse().ok();
    let validators = Validators { tag, modified: Some(file.modified()) };
    let kind = match name {
        Published::DriverIndexFile | Published::Board(_) | Published::LinkedBoard(_) | Published::Export(_) => GZIP,
        Published::DriverIndex
        | Published::TopCombinations
        | Published::Status
        | Published::Statistics
        | Published::ArchiveStatus
        | Published::RecordLine(_) => JSON,
    };
    Ok(Some(Opened { file, validators, kind, coding }))
}

fn whole(file: &RegularFile, offset: u64, count: u64) -> Result<Bytes, FsError> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    file.read_at(offset, count).map(Bytes::from)
}

fn not_found() -> Response {
    refusal(StatusCode::NOT_FOUND, "no such file is published")
}

/// The log names the path; the client need not know it.
fn failure(error: &FsError) -> Response {
    tracing::warn!(%error, "a published file could not be sent");
    refusal(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read")
}
