//! One page of a board: `{"context":{"c":{"results":[ENTRY,…]}}}`, validated before any of it is used.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};
use mime::Mime;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use serde_json::value::RawValue;

use super::failure::{Failure, short};
use crate::domain::json::{self, Found, Sink};

/// An entry nested deeper than this is left out, since readers of the cache might not cope with it.
const MAX_DEPTH: usize = 100;

/// A larger entry is left out. Real ones are twenty times smaller, and an index in little memory has to hold a whole one.
const MAX_ENTRY_BYTES: usize = 16 << 10;

const GZIP_MAGIC: &[u8] = b"\x1f\x8b";

/// The entries of a page, in order, as raw text.
#[derive(Debug, Default)]
pub(super) struct Page<'a> {
    /// The usable entries.
    pub(super) entries: Vec<&'a RawValue>,
    /// The number of elements of the list, usable or not.
    pub(super) listed: usize,
    /// The first and last element, usable or not.
    pub(super) ends: Option<(&'a RawValue, &'a RawValue)>,
}

/// Decodes a body by its byte order mark, which is dropped, else by the charset of `Content-Type`, else as UTF-8. Invalid
/// bytes are a failure; nothing is replaced.
pub(super) fn text<'b>(body: &'b [u8], headers: &HeaderMap) -> Result<Cow<'b, str>, Failure> {
    // The client has already decoded gzip, and removed the header.
    if let Some(coding) = headers.get(CONTENT_ENCODING).filter(|it| !it.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Failure::NotText(short(&format!("Content-Encoding is {coding:?}, expected gzip or none"))));
    }
    if body.starts_with(GZIP_MAGIC) {
        return Err(Failure::NotText("gzip data that Content-Encoding does not declare".to_owned()));
    }
    let (encoding, text) = match Encoding::for_bom(body) {
        Some((encoding, length)) => (encoding, &body[length..]),
        None => (declared(headers)?, body),
    };
    let invalid = || Failure::NotText(format!("not valid {}", encoding.name()));
    encoding.decode_without_bom_handling_and_without_replacement(text).ok_or_else(invalid)
}

/// The charset of `Content-Type`; by default UTF-8, as JSON.
fn declared(headers: &HeaderMap) -> Result<&'static Encoding, Failure> {
    let mime: Option<Mime> = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()?.parse().ok());
    let Some(label) = mime.as_ref().and_then(|it| it.get_param(mime::CHARSET)) else { return Ok(UTF_8) };
    let unknown = || Failure::NotText(short(&format!("unknown charset {:?} in Content-Type", label.as_str())));
    Encoding::for_label_no_replacement(label.as_str().as_bytes()).ok_or_else(unknown)
}

/// Reads the first page of a board. If it lists elements, at least one must be an entry; otherwise it is some other document.
pub(super) fn read_first(text: &str, requested: usize) -> Result<Page<'_>, Failure> {
    let page = read(text, requested)?;
    if page.listed > 0 && page.entries.is_empty() {
        return Err(Failure::NotAPage(format!("none of its {} results is an entry", page.listed)));
    }
    Ok(page)
}

/// Reads a page of up to `requested` entries.
pub(super) fn read(text: &str, requested: usize) -> Result<Page<'_>, Failure> {
    if text.trim_start().starts_with('<') {
        return Err(Failure::Html);
    }
    let mut page = Collect { page: Page::default(), requested };
    match json::walk(text, &["context", "c", "results"], &mut page) {
        Ok(Found::Array) if page.page.listed > requested => Err(Failure::Overfull { requested }),
        Ok(Found::Array) => Ok(page.page),
        Ok(Found::Null | Found::Nothing) => Err(Failure::NoList),
        Err(error) => Err(Failure::NotAPage(short(&error.to_string()))),
    }
}

struct Collect<'a> {
    page: Page<'a>,
    requested: usize,
}

impl<'a> Sink<'a> for Collect<'a> {
    type Element = &'a RawValue;

    fn member(&mut self, _: usize, _: &str, _: &'a RawValue) {}

    fn begin(&mut self) {
        self.page = Page::default();
    }

    fn element(&mut self, value: &'a RawValue) {
        self.page.listed += 1;
        self.page.ends = Some((self.page.ends.map_or(value, |(first, _)| first), value));
        let text = value.get();
        let usable =
            text.starts_with('{') && text.len() <= MAX_ENTRY_BYTES && !json::nested_deeper_than(text, MAX_DEPTH);
        if usable && self.page.listed <= self.requested {
            self.page.entries.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn entries(text: &str) -> Result<(Vec<&str>, usize), Failure> {
        read_first(text, 3).map(|page| (page.entries.iter().map(|it| it.get()).collect(), page.listed))
    }

    fn page(list: &str) -> String {
        format!(r#"{{"x":[1],"context":{{"c":{{"results":{list},"y":{{}}}}}}}}"#)
    }

    #[test]
    fn entries_come_as_they_were_sent() {
        let text = page(r#"[{"a": 1.0}, {}]"#);
        assert_eq!(entries(&text), Ok((vec![r#"{"a": 1.0}"#, "{}"], 2)));
        assert_eq!(entries(&page("[]")), Ok((vec![], 0)));
    }

    #[test]
    fn only_unusable_entries_are_left_out() {
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_ENTRY_BYTES));
        assert_eq!(entries(&page(&format!("[{large},{{}}]"))), Ok((vec!["{}"], 2)));
        let deep = format!("{}{}", r#"{"a":"#.repeat(200), "1".to_owned() + &"}".repeat(200));
        let text = page(&format!("[null,{deep},{{}}]"));
        assert_eq!(entries(&text), Ok((vec!["{}"], 3)));
    }

    #[test]
    fn ends_are_known_even_if_they_are_not_entries() {
        let ends = |list: &str| {
            let text = page(list);
            let page = read(&text, 9).unwrap();
            page.ends.map(|(first, last)| (first.get().to_owned(), last.get().to_owned()))
        };
        assert_eq!(ends("[]"), None);
        assert_eq!(ends("[7]"), Some(("7".into(), "7".into())));
        assert_eq!(ends("[{},7,null]"), Some(("{}".into(), "null".into())));
    }

    /// The text of a body with these headers.
    fn decoded(headers: &[(HeaderName, &str)], body: &[u8]) -> Result<String, String> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        text(body, &headers.collect()).map(Cow::into_owned).map_err(|it| it.to_string())
    }

    fn typed(content_type: &str, body: &[u8]) -> Result<String, String> {
        decoded(&[(CONTENT_TYPE, content_type)], body)
    }

    /// `"ü€"` in UTF-16, its bytes in that order.
    fn utf16(order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        "\"ü€\"".encode_utf16().flat_map(order).collect()
    }

    #[test]
    fn content_type_decides_the_charset() {
        let utf8 = "\"ü€\"".as_bytes();
        for content_type in
            ["application/json", "application/json; charset=utf-8", "text/json;CHARSET=\"UTF-8\"", "nonsense", ""]
        {
            assert_eq!(typed(content_type, utf8).as_deref(), Ok("\"ü€\""), "{content_type}");
        }
        assert_eq!(decoded(&[], utf8).as_deref(), Ok("\"ü€\""));
        let latin1 = typed("application/json; charset=ISO-8859-1", b"\"R\xe4ikk\xf6nen\"");
        assert_eq!(latin1.as_deref(), Ok("\"Räikkönen\""));
        assert_eq!(typed("application/json; charset=windows-1251", b"\xcf\xb8\xf2\xf0").as_deref(), Ok("Пётр"));
        assert_eq!(typed("text/json; charset=shift_jis", b"\x93\xfa").as_deref(), Ok("日"));
        let little = utf16(u16::to_le_bytes);
        assert_eq!(typed("application/json; charset=utf-16", &little).as_deref(), Ok("\"ü€\""));
        assert_eq!(typed("application/json; charset=utf-16be", &utf16(u16::to_be_bytes)).as_deref(), Ok("\"ü€\""));
    }

    #[test]
    fn a_byte_order_mark_overrides_content_type_and_is_dropped() {
        let marked = |mark: &[u8], text: &[u8]| [mark, text].concat();
        for content_type in ["application/json", "application/json; charset=iso-8859-1"] {
            assert_eq!(typed(content_type, &marked(b"\xef\xbb\xbf", "ü".as_bytes())).as_deref(), Ok("ü"));
            let (little, big) = (utf16(u16::to_le_bytes), utf16(u16::to_be_bytes));
            assert_eq!(typed(content_type, &marked(b"\xff\xfe", &little)).as_deref(), Ok("\"ü€\""));
            assert_eq!(typed(content_type, &marked(b"\xfe\xff", &big)).as_deref(), Ok("\"ü€\""));
        }
        let twice = "\u{feff}\u{feff}{}";
        assert_eq!(typed("", twice.as_bytes()).as_deref(), Ok("\u{feff}{}"), "two are not");
    }

    #[test]
    fn invalid_text_is_a_failure() {
        for (content_type, body, message) in [
            ("application/json", &b"R\xe4ikk\xf6nen"[..], "not text: not valid UTF-8"),
            ("application/json", b"cut \xe2\x82", "not text: not valid UTF-8"),
            ("application/json; charset=utf-16", b"{\x00\x00\xd8}\x00", "not text: not valid UTF-16LE"),
            ("application/json; charset=utf-16", b"odd", "not text: not valid UTF-16LE"),
            ("application/json; charset=shift_jis", b"\x93", "not text: not valid Shift_JIS"),
            ("application/json; charset=klingon", b"{}", "not text: unknown charset \"klingon\" in Content-Type"),
            // A charset that browsers know and refuse to decode.
            ("text/json; charset=iso-2022-kr", b"{}", "not text: unknown charset \"iso-2022-kr\" in Content-Type"),
            ("", b"\x1f\x8b\x08", "not text: gzip data that Content-Encoding does not declare"),
        ] {
            assert_eq!(typed(content_type, body).unwrap_err(), message);
        }
        let coded = |coding| decoded(&[(CONTENT_ENCODING, coding)], b"{}");
        assert_eq!(coded("identity").as_deref(), Ok("{}"));
        for coding in ["br", "deflate", "gzip, gzip", "zstd"] {
            let message = format!("not text: Content-Encoding is {coding:?}, expected gzip or none");
            assert_eq!(coded(coding).unwrap_err(), message);
        }
        let long = "x".repeat(5000);
        assert!(typed(&format!("a/b; charset={long}"), b"").unwrap_err().len() < 400);
        assert!(coded(&long).unwrap_err().len() < 400);
    }

    #[test]
    fn control_characters_in_strings_are_no_json() {
        for wrong in ["[{\"a\":\"x\0y\"}]", "[{}\0]", "[{\"a\0\":1}]"] {
            assert!(matches!(entries(&page(wrong)), Err(Failure::NotAPage(_))), "{wrong:?}");
        }
    }

    #[test]
    fn anything_else_is_an_error() {
        assert_eq!(entries(" <!DOCTYPE html>"), Err(Failure::Html));
        assert_eq!(entries(&page("[{},{},{},{}]")), Err(Failure::Overfull { requested: 3 }));
        for wrong in ["", "null", "[]", "{}", r#"{"context":{}}"#, r#"{"context":{"c":{"results":[{}"#] {
            assert!(matches!(entries(wrong), Err(Failure::NotAPage(_) | Failure::NoList)), "{wrong}");
        }
        for list in ["null", "{}", "\"\"", "7", "[null,null]", "[[]]"] {
            assert!(matches!(entries(&page(list)), Err(Failure::NotAPage(_) | Failure::NoList)), "{list}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "too slow")]
    fn a_long_string_makes_no_long_message() {
        for text in [page(&format!("{:?}", "x".repeat(100_000))), format!("{{\"context\":{:?}}}", "x".repeat(100_000))]
        {
            let message = read(&text, 3).unwrap_err().to_string();
            assert!(message.contains("found a string") && message.len() < 500, "{} bytes", message.len());
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "too slow")]
    fn a_million_brackets_do_not_overflow_the_stack() {
        let text = page(&format!("[{}", "[".repeat(1_000_000)));
        assert!(matches!(entries(&text), Err(Failure::NotAPage(_))));
        let text = "{\"context\":".repeat(1_000_000);
        assert!(matches!(entries(&text), Err(Failure::NotAPage(_))));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _either_way = read(&text, 3);
            let _either_way = read(&page(&text), 3);
        }
    }
}
