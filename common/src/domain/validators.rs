//! What the service said of a board's version (`ETag`, `Last-Modified`), kept in the board's file so that the next
//! request can ask for the board only if it has changed.
//!
//! Boards of one page only have them: the version of a page says nothing of the pages that follow.

use std::io::Read as _;

use flate2::bufread::GzDecoder;
use serde::{Deserialize, Serialize};

use super::fs::without_bom;

/// The longest value that is kept; a longer one is no version but a burden.
const LONGEST: usize = 256;

/// How much of a file, and of its text, is looked at: what stands first has at most two values of [`LONGEST`] characters.
pub(super) const HEAD_BYTES: usize = 4096;

/// How the text of a file begins that has them.
const BEGINNING: &str = r#"{"validators":"#;

/// The values of both headers, where they were sent; visible ASCII, to be sent back as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// `ETag`, sent back as `If-None-Match`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified`, sent back as `If-Modified-Since`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

impl Validators {
    /// Takes what can be kept of both headers.
    #[must_use]
    pub fn new(etag: Option<&str>, last_modified: Option<&str>) -> Self {
        let kept = |value: Option<&str>| {
            let visible = |it: &&str| it.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            value.filter(|it| !it.is_empty() && it.len() <= LONGEST).filter(visible).map(str::to_owned)
        };
        Self { etag: kept(etag), last_modified: kept(last_modified) }
    }

    /// Whether there is neither.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The member of a board's JSON.
    pub(super) fn member(&self) -> String {
        // Two optional strings always have a JSON form.
        format!(r#""validators":{}"#, serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned()))
    }

    /// Those at the beginning of a board's file; none where it does not begin with them, whatever is wrong with it: then
    /// the board is asked for without condition.
    pub(super) fn of_file(beginning: &[u8]) -> Self {
        let mut text = Vec::new();
        // What was inflated before the beginning is cut off is in `text` all the same.
        let _cut_off = GzDecoder::new(beginning).take(HEAD_BYTES as u64).read_to_end(&mut text);
        let read = || {
            let rest = without_bom(&text).strip_prefix(BEGINNING.as_bytes())?;
            let Self { etag, last_modified } = serde_json::Deserializer::from_slice(rest).into_iter().next()?.ok()?;
            Some(Self::new(etag.as_deref(), last_modified.as_deref()))
        };
        read().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::board_encoder::BoardEncoder;
    use super::*;
    use serde_json::value::RawValue;

    fn file(validators: &Validators, entries: usize) -> Vec<u8> {
        let mut encoder = BoardEncoder::new("2-3".parse().unwrap(), "N", validators);
        for number in 0..entries {
            assert!(encoder.push(&RawValue::from_string(format!("{{\"number\":{number}}}")).unwrap()));
        }
        encoder.finish("t").bytes
    }

    #[test]
    fn they_are_read_from_the_beginning_of_a_file() {
        let both = Validators::new(Some("W/\"a \\ b\""), Some("Mon, 23 Nov 2026 04:00:11 GMT"));
        let etag = Validators::new(Some("\"x\""), None);
        for validators in [both, etag, Validators::default()] {
            for entries in [0, 100_000] {
                let file = file(&validators, entries);
                assert_eq!(Validators::of_file(&file[..file.len().min(HEAD_BYTES)]), validators);
            }
        }
    }

    #[test]
    fn a_byte_order_mark_does_not_hide_them() {
        let validators = Validators::new(Some("\"x\""), None);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, format!("\u{feff}{{{},", validators.member()).as_bytes()).unwrap();
        assert_eq!(Validators::of_file(&gzip.finish().unwrap()), validators);
    }

    #[test]
    fn what_is_no_header_value_is_not_kept() {
        let long = "x".repeat(LONGEST + 1);
        for wrong in ["", "a\nb", "ü", &long] {
            assert!(Validators::new(Some(wrong), Some(wrong)).is_empty(), "{wrong:?}");
        }
    }

    #[test]
    fn a_file_of_another_kind_has_none() {
        for wrong in [&b""[..], b"garbage", &file(&Validators::default(), 3)[..9]] {
            assert!(Validators::of_file(wrong).is_empty());
        }
    }
}
