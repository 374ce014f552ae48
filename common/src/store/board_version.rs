//! A board's version: the first member of the JSON in its file, so that it can be read from the beginning of the file.

use std::io::Read as _;

use flate2::bufread::GzDecoder;

use crate::domain::Validators;
use crate::runtime::fs::without_bom;

/// How much of a file, and of its text, is read: enough for two header values of maximum length.
pub(super) const HEAD_BYTES: usize = 4096;

/// The beginning of the text of a file with a version.
const BEGINNING: &str = r#"{"validators":"#;

/// The member of a board's JSON.
pub(super) fn member(validators: &Validators) -> String {
    // Two optional strings always have a JSON form.
    format!(r#""validators":{}"#, serde_json::to_string(validators).unwrap_or_else(|_| "{}".to_owned()))
}

/// Reads the version from the beginning of a board's file. If there is none, or the file is damaged, the board will be
/// requested unconditionally.
pub(super) fn read(beginning: &[u8]) -> Validators {
    let mut text = Vec::new();
    // The beginning ends early; the text up to there is in `text`.
    let _truncated = GzDecoder::new(beginning).take(HEAD_BYTES as u64).read_to_end(&mut text);
    let read = || {
        let rest = without_bom(&text).strip_prefix(BEGINNING.as_bytes())?;
        let Validators { etag, last_modified } = serde_json::Deserializer::from_slice(rest).into_iter().next()?.ok()?;
        Some(Validators::new(etag.as_deref(), last_modified.as_deref()))
    };
    read().unwrap_or_default()
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
    fn a_version_is_read_from_the_beginning_of_a_file() {
        let both = Validators::new(Some("W/\"a \\ b\""), Some("Mon, 23 Nov 2026 04:00:11 GMT"));
        let etag = Validators::new(Some("\"x\""), None);
        for validators in [both, etag, Validators::default()] {
            for entries in [0, 100_000] {
                let file = file(&validators, entries);
                assert_eq!(read(&file[..file.len().min(HEAD_BYTES)]), validators);
            }
        }
    }

    #[test]
    fn a_byte_order_mark_does_not_hide_it() {
        let validators = Validators::new(Some("\"x\""), None);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, format!("\u{feff}{{{},", member(&validators)).as_bytes()).unwrap();
        assert_eq!(read(&gzip.finish().unwrap()), validators);
    }

    #[test]
    fn a_file_of_another_kind_has_none() {
        for wrong in [&b""[..], b"garbage", &file(&Validators::default(), 3)[..9]] {
            assert!(read(wrong).is_empty());
        }
    }
}
