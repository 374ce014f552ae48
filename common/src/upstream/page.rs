//! One page of a board: `{"context":{"c":{"results":[ENTRY,…]}}}`, checked before any of it is used.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::failure::{Failure, short};
use crate::domain::json::{self, Found, Sink};

/// An entry nested deeper than this is left out: readers of the cache may not get through it.
const DEEPEST: usize = 100;

/// An entry with more bytes than this is left out: it is twenty times as large as entries are, and all of it would have to be
/// held at once by whoever makes an index in little memory.
const LARGEST: usize = 16 << 10;

/// The entries of a page, in order, as raw text.
#[derive(Debug)]
pub(super) struct Page<'a> {
    /// The entries that are objects.
    pub(super) entries: Vec<&'a RawValue>,
    /// All that stood in the list: tells whether it was the last page.
    pub(super) listed: usize,
}

/// A body as text. Bytes that are no UTF-8 may have been damaged on the way, so they are asked for again; if they `stay`
/// so, they cost themselves and not the page.
pub(super) fn text(body: &[u8], stay: bool) -> Result<Cow<'_, str>, Failure> {
    match std::str::from_utf8(body) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) if stay => Ok(String::from_utf8_lossy(body)),
        Err(error) => Err(Failure::NotAPage(format!("not UTF-8: {error}"))),
    }
}

/// Reads a page for which `asked` entries were asked.
pub(super) fn read(text: &str, asked: usize) -> Result<Page<'_>, Failure> {
    if text.trim_start().starts_with('<') {
        return Err(Failure::Html);
    }
    let mut page = Collect { page: Page { entries: Vec::new(), listed: 0 }, asked };
    match json::walk(text, &["context", "c", "results"], &mut page) {
        Ok(Found::Array) if page.page.listed > asked => Err(Failure::Overfull { asked }),
        Ok(Found::Array) if page.page.listed > 0 && page.page.entries.is_empty() => {
            Err(Failure::NotAPage(format!("none of its {} results is an entry", page.page.listed)))
        }
        Ok(Found::Array) => Ok(page.page),
        Ok(Found::Null | Found::Nothing) => Err(Failure::NoList),
        Err(error) => Err(Failure::NotAPage(short(&error.to_string()))),
    }
}

struct Collect<'a> {
    page: Page<'a>,
    asked: usize,
}

impl<'a> Sink<'a> for Collect<'a> {
    fn member(&mut self, _: usize, _: &str, _: &'a RawValue) {}

    fn begin(&mut self) {
        self.page = Page { entries: Vec::new(), listed: 0 };
    }

    fn element(&mut self, value: &'a RawValue) {
        self.page.listed += 1;
        let text = value.get();
        let usable = text.starts_with('{') && text.len() <= LARGEST && !json::nested_deeper_than(text, DEEPEST);
        if usable && self.page.listed <= self.asked {
            self.page.entries.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries(text: &str) -> Result<(Vec<&str>, usize), Failure> {
        read(text, 3).map(|page| (page.entries.iter().map(|it| it.get()).collect(), page.listed))
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
    fn what_is_no_object_too_deep_or_too_large_costs_itself_only() {
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(LARGEST));
        assert_eq!(entries(&page(&format!("[{large},{{}}]"))), Ok((vec!["{}"], 2)));
        let deep = format!("{}{}", r#"{"a":"#.repeat(200), "1".to_owned() + &"}".repeat(200));
        let text = page(&format!("[null,{deep},{{}}]"));
        assert_eq!(entries(&text), Ok((vec!["{}"], 3)));
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_asked_for_again_and_then_cost_themselves() {
        assert_eq!(text("ü".as_bytes(), false), Ok(Cow::Borrowed("ü")));
        assert!(matches!(text(b"a\xffb", false), Err(Failure::NotAPage(_))));
        assert_eq!(text(b"a\xffb", true).unwrap(), "a\u{fffd}b");
    }

    #[test]
    fn anything_else_is_an_error_not_an_empty_board() {
        assert_eq!(entries(" <!DOCTYPE html>"), Err(Failure::Html));
        assert_eq!(entries(&page("[{},{},{},{}]")), Err(Failure::Overfull { asked: 3 }));
        for wrong in ["", "null", "[]", "{}", r#"{"context":{}}"#, r#"{"context":{"c":{"results":[{}"#] {
            assert!(matches!(entries(wrong), Err(Failure::NotAPage(_) | Failure::NoList)), "{wrong}");
        }
        for list in ["null", "{}", "\"\"", "7", "[null,null]", "[[]]"] {
            assert!(matches!(entries(&page(list)), Err(Failure::NotAPage(_) | Failure::NoList)), "{list}");
        }
    }

    #[test]
    fn a_long_text_in_a_wrong_place_makes_no_long_message() {
        for text in [page(&format!("{:?}", "x".repeat(100_000))), format!("{{\"context\":{:?}}}", "x".repeat(100_000))]
        {
            let message = read(&text, 3).unwrap_err().to_string();
            assert!(message.contains("found a string") && message.len() < 500, "{} bytes", message.len());
        }
    }

    #[test]
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
