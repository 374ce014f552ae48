//! What the headers of a request ask for, one function for each header, by RFC 9110. Pure.

use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName, IF_RANGE, RANGE};
use headers::{ETag, HeaderMapExt as _, IfMatch, IfModifiedSince, IfNoneMatch, IfUnmodifiedSince};
use r3e_common::runtime::control::Format;

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The members of an `Accept…` header in lower case, with their quality in thousandths. An invalid quality counts as 0.
fn qualities(list: &str) -> impl Iterator<Item = (String, u32)> {
    list.split(',').map(|member| {
        let mut parts = member.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let named = |part: &str| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().unwrap_or(0.0))
        };
        let quality = parts.find_map(named).unwrap_or(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
        let thousandths = if (0.0..=1.0).contains(&quality) { (quality * 1000.0).round() as u32 } else { 0 };
        (name, thousandths)
    })
}

/// The content coding of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Compressed.
    Gzip,
    /// Plain.
    Identity,
}

/// `Accept-Encoding`: gzip if it is accepted and plain text is not preferred; none if both are refused. Without the header,
/// plain text.
pub(super) fn coding(headers: &HeaderMap) -> Option<Coding> {
    let (mut gzip, mut identity, mut others) = (None, None, None);
    for (name, quality) in qualities(text(headers, &ACCEPT_ENCODING).unwrap_or_default()) {
        match &*name {
            "gzip" | "x-gzip" => gzip = Some(quality),
            "identity" => identity = Some(quality),
            "*" => others = Some(quality),
            _ => {}
        }
    }
    let gzip = gzip.or(others).unwrap_or(0);
    if gzip > 0 && identity.is_none_or(|it| it <= gzip) {
        return Some(Coding::Gzip);
    }
    // Plain text is acceptable unless it is refused.
    let refused = identity.or(others.filter(|it| *it == 0)) == Some(0);
    (!refused).then_some(Coding::Identity)
}

/// `Accept` of a request for metrics: OpenMetrics for those who name it and do not prefer the older format.
pub(super) fn metrics_format(headers: &HeaderMap) -> Format {
    let (mut open, mut older) = (0, 0);
    for (name, quality) in qualities(text(headers, &ACCEPT).unwrap_or_default()) {
        match &*name {
            "application/openmetrics-text" => open = open.max(quality),
            "text/plain" | "text/*" | "*/*" => older = older.max(quality),
            _ => {}
        }
    }
    if open > 0 && open >= older { Format::OpenMetrics } else { Format::Text }
}

/// The part of a file that is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All: no range, several, or an invalid one.
    All,
    /// A range, at least one byte.
    Bytes {
        /// The offset of the first byte.
        first: u64,
        /// How many bytes.
        count: u64,
    },
    /// A range outside the file.
    Unsatisfiable,
}

/// `Range`, for a file of that length.
pub(super) fn part(headers: &HeaderMap, length: u64) -> Part {
    let range = text(headers, &RANGE).and_then(|it| it.split_once('='));
    let range = range.filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = range.and_then(|(_, it)| it.trim().split_once('-')) else { return Part::All };
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        // A number that overflows is beyond the end of any file.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() => (first, u64::MAX),
        (Some(first), Some(last)) if first <= last => (first, last),
        (None, Some(0)) if first.is_empty() => return Part::Unsatisfiable,
        (None, Some(count)) if first.is_empty() => (length.saturating_sub(count), u64::MAX),
        _ => return Part::All,
    };
    if first >= length {
        return Part::Unsatisfiable;
    }
    Part::Bytes { first, count: last.min(length - 1) - first + 1 }
}

/// The result of evaluating the preconditions of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answer as if there were none.
    Proceed,
    /// 304: the client already has this state.
    NotModified,
    /// 412: this is not the state that the client relies on.
    Failed,
}

/// What tells one state of a resource from another.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Validators {
    /// A strong tag.
    pub(super) tag: Option<ETag>,
    /// When it was last modified.
    pub(super) modified: Option<SystemTime>,
}

impl Validators {
    /// Evaluates the preconditions of a GET or HEAD request in the order of section 13.2.2, except `If-Range`.
    pub(super) fn evaluate(&self, headers: &HeaderMap) -> Outcome {
        let tag = self.tag.as_ref();
        if let Some(expected) = headers.typed_get::<IfMatch>() {
            if !expected.is_any() && !tag.is_some_and(|tag| expected.precondition_passes(tag)) {
                return Outcome::Failed;
            }
        } else if let (Some(date), Some(modified)) = (headers.typed_get::<IfUnmodifiedSince>(), self.modified)
            && !date.precondition_passes(modified)
        {
            return Outcome::Failed;
        }
        if let Some(known) = headers.typed_get::<IfNoneMatch>() {
            if known == IfNoneMatch::any() || tag.is_some_and(|tag| !known.precondition_passes(tag)) {
                return Outcome::NotModified;
            }
        } else if let (Some(date), Some(modified)) = (headers.typed_get::<IfModifiedSince>(), self.modified)
            && !date.is_modified(modified)
        {
            return Outcome::NotModified;
        }
        Outcome::Proceed
    }

    /// Whether a part may be sent: there is no `If-Range`, or it names exactly this state. A date identifies a state only if
    /// the file was not modified within the same second.
    pub(super) fn may_continue(&self, headers: &HeaderMap, now: SystemTime) -> bool {
        let mut lines = headers.get_all(IF_RANGE).iter();
        let (Some(named), None) = (lines.next(), lines.next()) else { return !headers.contains_key(IF_RANGE) };
        let Ok(named) = named.to_str() else { return false };
        if let Ok(named) = named.parse::<ETag>() {
            return self.tag.as_ref().is_some_and(|tag| IfMatch::from(named).precondition_passes(tag));
        }
        let (Some(modified), Ok(named)) = (self.modified, named.parse::<httpdate::HttpDate>()) else { return false };
        let is_old = now.duration_since(modified).is_ok_and(|age| age >= Duration::from_secs(2));
        is_old && named == modified.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use axum::http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};

    const TAG: &str = "\"a,b\"";
    const MODIFIED: u64 = 1_795_406_400;
    const BEFORE: &str = "Mon, 23 Nov 2026 03:59:59 GMT";
    const SAME: &str = "Mon, 23 Nov 2026 04:00:00 GMT";
    const AFTER: &str = "Mon, 23 Nov 2026 04:00:01 GMT";

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn validators() -> Validators {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(MODIFIED * 1000 + 700);
        Validators { tag: Some(TAG.parse().unwrap()), modified: Some(modified) }
    }

    #[test]
    fn gzip_goes_to_those_who_accept_it() {
        use Coding::{Gzip, Identity};
        assert_eq!(coding(&HeaderMap::new()), Some(Identity));
        for (accept, expected) in [
            ("", Some(Identity)),
            ("gzip", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Gzip)),
            ("br", Some(Identity)),
            ("*", Some(Gzip)),
            ("X-GZIP ; Q=0.001", Some(Gzip)),
            ("gzip;q=0", Some(Identity)),
            ("gzip;q=0.000, *", Some(Identity)),
            ("*;q=0, gzip;q=1.0", Some(Gzip)),
            ("gzip;q=0.5, identity;q=0.9", Some(Identity)),
            ("gzip;q=0.5, identity;q=0.5", Some(Gzip)),
            ("identity;q=0", None),
            ("*;q=0", None),
            ("identity;q=0, gzip", Some(Gzip)),
            ("gzip;q=2", Some(Identity)),
            ("gzip;q=x", Some(Identity)),
            ("gzipped, ngzip", Some(Identity)),
        ] {
            assert_eq!(coding(&headers(&[(ACCEPT_ENCODING, accept)])), expected, "{accept:?}");
        }
    }

    #[test]
    fn each_collector_gets_a_format_that_it_reads() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, format) in [
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("APPLICATION/OpenMetrics-Text; Q=0.5", Format::OpenMetrics),
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("text/plain;version=0.0.4;q=1,application/openmetrics-text;q=0.5", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=2", Format::Text),
            ("nonsense;;=,;", Format::Text),
        ] {
            assert_eq!(metrics_format(&headers(&[(ACCEPT, accept)])), format, "{accept}");
        }
    }

    #[test]
    fn parts_lie_within_the_file() {
        let bytes = |first, count| Part::Bytes { first, count };
        assert_eq!(part(&HeaderMap::new(), 10), Part::All);
        for (range, expected) in [
            ("bytes=0-0", bytes(0, 1)),
            ("bytes=0-", bytes(0, 10)),
            ("Bytes = 3-5 ", bytes(3, 3)),
            ("bytes=9-99999999999999999999999", bytes(9, 1)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=99999999999999999999999-", Part::Unsatisfiable),
            ("bytes=-3", bytes(7, 3)),
            ("bytes=-99", bytes(0, 10)),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=5-3", Part::All),
            ("bytes=0-1,3-4", Part::All),
            ("bytes=-", Part::All),
            ("bytes=a-b", Part::All),
            ("bytes=+1-2", Part::All),
            ("lines=1-2", Part::All),
            ("bytes", Part::All),
        ] {
            assert_eq!(part(&headers(&[(RANGE, range)]), 10), expected, "{range:?}");
        }
        for range in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
            assert_eq!(part(&headers(&[(RANGE, range)]), 0), Part::Unsatisfiable, "{range} of an empty file");
        }
    }

    #[test]
    fn preconditions_are_evaluated_in_the_order_of_the_standard() {
        use Outcome::{Failed, NotModified, Proceed};
        for (lines, expected) in [
            (&[][..], Proceed),
            (&[(IF_MATCH, TAG)], Proceed),
            (&[(IF_MATCH, "*")], Proceed),
            (&[(IF_MATCH, "W/\"a,b\"")], Failed),
            (&[(IF_MATCH, "\"x\"")], Failed),
            (&[(IF_MATCH, "a,b")], Failed),
            (&[(IF_MATCH, "")], Failed),
            (&[(IF_MATCH, "\"x\" ,\t\"a,b\"")], Proceed),
            (&[(IF_MATCH, "\"x\""), (IF_MATCH, TAG)], Proceed),
            (&[(IF_MATCH, TAG), (IF_UNMODIFIED_SINCE, BEFORE)], Proceed),
            (&[(IF_MATCH, TAG), (IF_NONE_MATCH, TAG)], NotModified),
            (&[(IF_UNMODIFIED_SINCE, BEFORE)], Failed),
            (&[(IF_UNMODIFIED_SINCE, SAME)], Proceed),
            (&[(IF_UNMODIFIED_SINCE, BEFORE), (IF_UNMODIFIED_SINCE, BEFORE)], Proceed),
            (&[(IF_UNMODIFIED_SINCE, "yesterday")], Proceed),
            (&[(IF_NONE_MATCH, TAG)], NotModified),
            (&[(IF_NONE_MATCH, "W/\"a,b\"")], NotModified),
            (&[(IF_NONE_MATCH, "*")], NotModified),
            (&[(IF_NONE_MATCH, "\"a\", W/\"y\"")], Proceed),
            (&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, TAG)], NotModified),
            (&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, AFTER)], Proceed),
            (&[(IF_MODIFIED_SINCE, BEFORE)], Proceed),
            (&[(IF_MODIFIED_SINCE, SAME)], NotModified),
            (&[(IF_MODIFIED_SINCE, "yesterday")], Proceed),
        ] {
            assert_eq!(validators().evaluate(&headers(lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn without_validators_no_tag_and_no_date_matches() {
        for (name, value, outcome) in [
            (IF_MATCH, "\"x\"", Outcome::Failed),
            (IF_MATCH, "*", Outcome::Proceed),
            (IF_NONE_MATCH, "\"x\"", Outcome::Proceed),
            (IF_NONE_MATCH, "*", Outcome::NotModified),
            (IF_MODIFIED_SINCE, SAME, Outcome::Proceed),
            (IF_UNMODIFIED_SINCE, SAME, Outcome::Proceed),
        ] {
            let outcome_of = Validators::default().evaluate(&headers(&[(name.clone(), value)]));
            assert_eq!(outcome_of, outcome, "{name}: {value}");
        }
    }

    #[test]
    fn a_part_goes_to_those_who_have_a_part_of_the_same_state() {
        let modified = validators().modified.unwrap();
        let may_continue = |lines: &[&str], now| {
            let lines: Vec<_> = lines.iter().map(|&it| (IF_RANGE, it)).collect();
            validators().may_continue(&headers(&lines), now)
        };
        for (named, continued) in [
            (&[][..], true),
            (&[TAG], true),
            (&["W/\"a,b\""], false),
            (&["\"x\""], false),
            (&[TAG, TAG], false),
            (&[SAME], true),
            (&[AFTER], false),
            (&["x"], false),
        ] {
            assert_eq!(may_continue(named, modified + Duration::from_mins(1)), continued, "{named:?}");
        }
        assert!(!may_continue(&[SAME], modified + Duration::from_secs(1)));
    }
}
