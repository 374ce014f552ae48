//! The files of the pages, compressed once, when the first of them is requested.

use std::io::Write as _;

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use headers::{ETag, HeaderMapExt as _};

use super::headers::{Coding, Outcome, Validators, coding};
use super::reply::{not_modified, precondition_failed, refusal, reply, set};
use crate::dashboard::{ASSETS, Asset, LOOKUP, PAGE};

/// The files of the page.
#[derive(Debug)]
pub(super) struct Page {
    files: Vec<(Asset, Bytes)>,
    /// Of the compressed and of the plain form.
    tags: [ETag; 2],
}

impl Page {
    /// All of them, compressed.
    pub(super) fn new() -> std::io::Result<Self> {
        let compressed = |asset: Asset| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(asset.text.as_bytes())?;
            let mut bytes = encoder.finish()?;
            bytes.shrink_to_fit();
            Ok((asset, Bytes::from(bytes)))
        };
        let files =
            std::iter::once(PAGE).chain(ASSETS).chain(LOOKUP).map(compressed).collect::<std::io::Result<Vec<_>>>()?;
        let mut digest = crc32fast::Hasher::new();
        for (_, bytes) in &files {
            digest.update(bytes);
        }
        let version = format!("{}-{:08x}", env!("CARGO_PKG_VERSION"), digest.finalize());
        let tag = |form| format!("\"{version}-{form}\"").parse().map_err(std::io::Error::other);
        Ok(Self { files, tags: [tag("gzip")?, tag("plain")?] })
    }

    /// The file at that path, if there is one.
    pub(super) fn get(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        let (asset, compressed) = self.files.iter().find(|(asset, _)| asset.path == path)?;
        let Some(coding) = coding(headers) else {
            return Some(refusal(StatusCode::NOT_ACCEPTABLE, "available codings: gzip and identity"));
        };
        let (tag, body) = match coding {
            Coding::Gzip => (&self.tags[0], compressed.clone()),
            Coding::Identity => (&self.tags[1], Bytes::from_static(asset.text.as_bytes())),
        };
        let validators = Validators { tag: Some(tag.clone()), modified: None };
        let mut response = match validators.evaluate(headers) {
            Outcome::Proceed => reply(StatusCode::OK, asset.kind, body),
            Outcome::NotModified => not_modified(),
            Outcome::Failed => return Some(precondition_failed()),
        };
        // Revalidated each time: an update of the program brings another page.
        set(&mut response, CACHE_CONTROL, "no-cache");
        set(&mut response, VARY, "accept-encoding");
        response.headers_mut().typed_insert(tag.clone());
        if coding == Coding::Gzip && response.status() == StatusCode::OK {
            set(&mut response, CONTENT_ENCODING, "gzip");
        }
        Some(response)
    }
}
