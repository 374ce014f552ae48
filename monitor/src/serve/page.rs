//! The files of the page, compressed once, when the first of them is asked for: they are sent to everyone who looks.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_ENCODING, ETAG, VARY};

use super::conditions::{Coding, coding};
use super::reply::{Reply, refusal, reply, set, set_text};
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
    pub(super) fn answer(
        &self,
        path: &str,
        accept_encoding: Option<&str>,
        if_none_match: Option<&str>,
    ) -> Option<Reply> {
        let (asset, compressed) = self.files.iter().find(|(asset, _)| asset.path == path)?;
        let Some(coding) = coding(accept_encoding) else {
            return Some(refusal(StatusCode::NOT_ACCEPTABLE, "there are gzip and plain text"));
        };
        let (form, body) = match coding {
            Coding::Gzip => ("gzip", compressed.clone()),
            Coding::Identity => ("plain", Bytes::from_static(asset.text.as_bytes())),
        };
        let tag = format!("\"{}-{form}\"", self.tag);
        let known = if_none_match.is_some_and(|it| it.split(',').any(|it| it.trim() == tag));
        let (status, body) = if known { (StatusCode::NOT_MODIFIED, Bytes::new()) } else { (StatusCode::OK, body) };
        let mut answer = reply(status, asset.kind, body);
        // After an update of the program the page is another.
        set(&mut answer, CACHE_CONTROL, "no-cache");
        set(&mut answer, VARY, "accept-encoding");
        set_text(&mut answer, ETAG, &tag);
        if coding == Coding::Gzip && !known {
            set(&mut answer, CONTENT_ENCODING, "gzip");
        }
        Some(answer)
    }
}
