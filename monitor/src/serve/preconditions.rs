//! Preconditions of a request, by RFC 9110, section 13: pure functions over its headers and what the answer would be of.

use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::{
    HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};

/// What is to be done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answer it as if it had no preconditions.
    Proceed,
    /// The client has it already: 304.
    NotModified,
    /// What the client relies on is not so: 412.
    Failed,
}

/// What tells one state of a resource from another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Validators {
    /// A strong tag, with its quotes.
    pub(super) tag: Option<String>,
    /// When it was written.
    pub(super) modified: Option<SystemTime>,
}

impl Validators {
    /// Evaluates the preconditions of a GET or HEAD request in the order of section 13.2.2, but for `If-Range`.
    pub(super) fn evaluate(&self, headers: &HeaderMap) -> Outcome {
        let is_newer_than = |since| self.modified.map(|it| seconds(it) > seconds(since));
        if let Some(tags) = Tags::of(headers, &IF_MATCH) {
            if !tags.any(self.tag.as_deref(), Comparison::Strong) {
                return Outcome::Failed;
            }
        } else if date(headers, &IF_UNMODIFIED_SINCE).and_then(is_newer_than) == Some(true) {
            return Outcome::Failed;
        }
        if let Some(tags) = Tags::of(headers, &IF_NONE_MATCH) {
            if tags.any(self.tag.as_deref(), Comparison::Weak) {
                return Outcome::NotModified;
            }
        } else if date(headers, &IF_MODIFIED_SINCE).and_then(is_newer_than) == Some(false) {
            return Outcome::NotModified;
        }
        Outcome::Proceed
    }

    /// Whether a part may be sent: `If-Range` names nothing, or this state. A time names a state only where the resource was not
    /// written within the same second.
    pub(super) fn may_continue(&self, headers: &HeaderMap, now: SystemTime) -> bool {
        let mut lines = headers.get_all(IF_RANGE).iter();
        let (Some(named), None) = (lines.next(), lines.next()) else { return !headers.contains_key(IF_RANGE) };
        let Ok(named) = named.to_str() else { return false };
        if named.starts_with(['"', 'W']) {
            return self.tag.as_deref() == Some(named);
        }
        let (Some(modified), Ok(named)) = (self.modified, httpdate::parse_http_date(named)) else { return false };
        let is_old = now.duration_since(modified).is_ok_and(|age| age >= Duration::from_secs(2));
        is_old && seconds(named) == seconds(modified)
    }
}

/// Times in headers have seconds.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |it| it.as_secs())
}

/// The date that a header names; none where there is no such header, more than one, or one that is no date: those are ignored.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut lines = headers.get_all(name).iter();
    let (Some(date), None) = (lines.next(), lines.next()) else { return None };
    httpdate::parse_http_date(date.to_str().ok()?).ok()
}

/// How tags are compared, section 8.8.3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// A weak tag equals none.
    Strong,
    /// `W/` makes no difference: who has it as a cache has weakened it has the same.
    Weak,
}

/// The tags that a header names, in all its lines: they are one list.
struct Tags<'h>(Vec<&'h [u8]>);

impl<'h> Tags<'h> {
    /// None where there is no such header.
    fn of(headers: &'h HeaderMap, name: &HeaderName) -> Option<Self> {
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        (!lines.is_empty()).then_some(Self(lines))
    }

    /// Whether one of them is that tag, or all are meant (`*`).
    fn any(&self, tag: Option<&str>, comparison: Comparison) -> bool {
        if let [only] = self.0[..]
            && only.trim_ascii() == b"*"
        {
            return true;
        }
        let Some(tag) = tag else { return false };
        let is_it =
            |(is_weak, opaque): (bool, &[u8])| opaque == tag.as_bytes() && (comparison == Comparison::Weak || !is_weak);
        self.0.iter().any(|line| Elements(line).any(is_it))
    }
}

/// The tags of a line: whether each is weak, and what is in its quotes, with them. A comma may be in a tag. What is no tag is
/// passed over up to the next comma.
struct Elements<'h>(&'h [u8]);

impl<'h> Iterator for Elements<'h> {
    type Item = (bool, &'h [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            let rest = self.0.trim_ascii_start();
            let (is_weak, quoted) = rest.strip_prefix(b"W/").map_or((false, rest), |it| (true, it));
            let length = quoted.strip_prefix(b"\"").and_then(|it| it.iter().position(|byte| *byte == b'"'));
            let (tag, after) = quoted.split_at(length.map_or(0, |it| it + 2));
            let comma = after.iter().position(|it| *it == b',');
            let (between, next) = after.split_at(comma.map_or(after.len(), |it| it + 1));
            self.0 = next;
            if !tag.is_empty() && between.trim_ascii().iter().all(|it| *it == b',') {
                return Some((is_weak, tag));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAG: &str = "\"a,b\"";
    const MODIFIED: u64 = 1_795_406_400;

    fn validators() -> Validators {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(MODIFIED * 1000 + 700);
        Validators { tag: Some(TAG.into()), modified: Some(modified) }
    }

    fn headers(lines: &[(HeaderName, String)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn date_of(seconds: u64) -> String {
        httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    /// What stands in a list of tags.
    #[derive(Debug, Clone, PartialEq)]
    enum Element {
        Ours,
        WeakOurs,
        Other(&'static str),
        Star,
    }

    impl Element {
        fn text(&self) -> String {
            match self {
                Self::Ours => TAG.to_owned(),
                Self::WeakOurs => format!("W/{TAG}"),
                Self::Other(text) => (*text).to_owned(),
                Self::Star => "*".to_owned(),
            }
        }
    }

    type Lines = Vec<Vec<Element>>;

    /// A header of tags, as its lines.
    fn lines() -> impl Strategy<Value = Lines> {
        let others =
            ["\"x\"", "W/\"y\"", "a,b", "\"a\"", "", "\"a,b\"c", "x\"a,b\"", "w/\"a,b\"", "W/ \"a,b\"", "\"a,b"];
        let element = prop_oneof![
            Just(Element::Ours),
            Just(Element::WeakOurs),
            Just(Element::Star),
            // The last one begins a tag that does not end, and takes what follows into it: only at the end of a line.
            (0..others.len() - 1).prop_map(move |it| Element::Other(others[it])),
        ];
        let line = (prop::collection::vec(element, 0..4), any::<bool>());
        let line = line.prop_map(move |(mut line, is_open)| {
            if is_open {
                line.push(Element::Other(others[others.len() - 1]));
            }
            line
        });
        prop::collection::vec(line, 0..3)
    }

    fn dates() -> impl Strategy<Value = Vec<Option<i64>>> {
        prop::collection::vec(prop::option::of(-2..=2_i64), 0..3)
    }

    /// The text of the standard, word by word.
    fn by_the_standard(
        if_match: &Lines,
        unmodified: &[Option<i64>],
        none_match: &Lines,
        since: &[Option<i64>],
    ) -> Outcome {
        let is_star = |lines: &Lines| *lines == [[Element::Star]];
        let names = |lines: &Lines, tag: Element| lines.iter().flatten().any(|it| *it == tag);
        // "A recipient MUST ignore the field if its value is not a valid HTTP-date, or has more than one member."
        let valid = |dates: &[Option<i64>]| if let [Some(date)] = dates { Some(*date) } else { None };
        // 1. "When recipient is the origin server and If-Match is present, evaluate":
        if !if_match.is_empty() {
            if !(is_star(if_match) || names(if_match, Element::Ours)) {
                return Outcome::Failed;
            }
        // 2. "If-Match is not present, and If-Unmodified-Since is present":
        } else if let Some(date) = valid(unmodified)
            && date < 0
        {
            return Outcome::Failed;
        }
        // 3. "When If-None-Match is present":
        if !none_match.is_empty() {
            let has_it = names(none_match, Element::Ours) || names(none_match, Element::WeakOurs);
            if is_star(none_match) || has_it {
                return Outcome::NotModified;
            }
        // 4. "When the method is GET or HEAD, If-None-Match is not present, and If-Modified-Since is present":
        } else if let Some(date) = valid(since)
            && date >= 0
        {
            return Outcome::NotModified;
        }
        // 6. "Otherwise, perform the requested method."
        Outcome::Proceed
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn preconditions_are_those_of_the_standard(
            if_match in lines(), unmodified in dates(), none_match in lines(), since in dates(), separator in "[ \t]?,[ \t]{0,2}",
        ) {
            let mut all = Vec::new();
            for (name, lines) in [(IF_MATCH, &if_match), (IF_NONE_MATCH, &none_match)] {
                for line in lines {
                    let texts: Vec<String> = line.iter().map(Element::text).collect();
                    all.push((name.clone(), texts.join(&separator)));
                }
            }
            for (name, dates) in [(IF_UNMODIFIED_SINCE, &unmodified), (IF_MODIFIED_SINCE, &since)] {
                for date in dates {
                    let text = date.map_or("yesterday".to_owned(), |it| date_of(MODIFIED.strict_add_signed(it)));
                    all.push((name.clone(), text));
                }
            }
            let expected = by_the_standard(&if_match, &unmodified, &none_match, &since);
            prop_assert_eq!(validators().evaluate(&headers(&all)), expected, "{:?}", all);
        }

        #[test]
        fn any_bytes_are_a_list_of_tags(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(Elements(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn what_has_no_validators_matches_no_tag_and_has_no_date() {
        let none = Validators::default();
        for (name, value, outcome) in [
            (IF_MATCH, "\"x\"", Outcome::Failed),
            (IF_MATCH, "*", Outcome::Proceed),
            (IF_NONE_MATCH, "\"x\"", Outcome::Proceed),
            (IF_NONE_MATCH, " * ", Outcome::NotModified),
            (IF_MODIFIED_SINCE, "Mon, 23 Nov 2026 04:00:00 GMT", Outcome::Proceed),
            (IF_UNMODIFIED_SINCE, "Mon, 23 Nov 2026 04:00:00 GMT", Outcome::Proceed),
        ] {
            assert_eq!(none.evaluate(&headers(&[(name.clone(), value.to_owned())])), outcome, "{name}: {value}");
        }
    }

    #[test]
    fn a_part_goes_to_those_who_have_a_part_of_the_same() {
        let modified = validators().modified.unwrap();
        let may_continue = |lines: &[&str], now| {
            let lines: Vec<_> = lines.iter().map(|&it| (IF_RANGE, it.to_owned())).collect();
            validators().may_continue(&headers(&lines), now)
        };
        let later = modified + Duration::from_mins(1);
        let [then, after] = [0, 1].map(|it| date_of(MODIFIED + it));
        for (named, continued) in [
            (&[][..], true),
            (&[TAG], true),
            (&["W/\"a,b\""], false),
            (&["\"x\""], false),
            (&[TAG, TAG], false),
            (&[&then], true),
            (&[&after], false),
            (&["x"], false),
        ] {
            assert_eq!(may_continue(named, later), continued, "{named:?}");
        }
        assert!(!may_continue(&[&then], modified + Duration::from_secs(1)));
    }
}
