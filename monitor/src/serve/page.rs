//! The files of the page, compressed once, when the first of them is asked for: they are sent to everyone who looks.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use hyper::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, VARY};
use hyper::{HeaderMap, StatusCode};

use super::conditions::{Coding, coding};
use super::preconditions::{Outcome, Validators};
use super::reply::{Reply, not_modified, precondition_failed, refusal, reply, set, set_text};
use crate::dashboard::{ASSETS, Asset, PAGE};

/// The files of the page.
#[derive(Debug)]
pub(super) struct Page {
    files: Vec<(Asset, Bytes)>,
    tag: String,
}

impl Page {
    /// All of them, compressed.
    ///
    /// # Errors
    /// When compressing fails, which in memory it does not.
    pub(super) fn new() -> std::io::Result<Self> {
        let compressed = |asset: Asset| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(asset.text.as_bytes())?;
            let mut bytes = encoder.finish()?;
            bytes.shrink_to_fit();
            Ok((asset, Bytes::from(bytes)))
        };
        let files = std::iter::once(PAGE).chain(ASSETS).map(compressed).collect::<std::io::Result<Vec<_>>>()?;
        let mut digest = crc32fast::Hasher::new();
        for (_, bytes) in &files {
            digest.update(bytes);
        }
        Ok(Self { files, tag: format!("{}-{:08x}", env!("CARGO_PKG_VERSION"), digest.finalize()) })
    }

    /// The file at that path, if there is one.
    pub(super) fn answer(&self, path: &str, headers: &HeaderMap) -> Option<Reply> {
        let (asset, compressed) = self.files.iter().find(|(asset, _)| asset.path == path)?;
        let accept = headers.get(ACCEPT_ENCODING).and_then(|it| it.to_str().ok());
        let Some(coding) = coding(accept) else {
            return Some(refusal(StatusCode::NOT_ACCEPTABLE, "there are gzip and plain text"));
        };
        let (form, body) = match coding {
            Coding::Gzip => ("gzip", compressed.clone()),
            Coding::Identity => ("plain", Bytes::from_static(asset.text.as_bytes())),
        };
        let tag = format!("\"{}-{form}\"", self.tag);
        let validators = Validators { tag: Some(tag.clone()), modified: None };
        let mut answer = match validators.evaluate(headers) {
            Outcome::Proceed => reply(StatusCode::OK, asset.kind, body),
            Outcome::NotModified => not_modified(),
            Outcome::Failed => return Some(precondition_failed()),
        };
        // After an update of the program the page is another.
        set(&mut answer, CACHE_CONTROL, "no-cache");
        set(&mut answer, VARY, "accept-encoding");
        set_text(&mut answer, ETAG, &tag);
        if coding == Coding::Gzip && answer.status() == StatusCode::OK {
            set(&mut answer, CONTENT_ENCODING, "gzip");
        }
        Some(answer)
    }
}
