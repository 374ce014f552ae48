//! `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date in one of three formats.

use std::time::{Duration, SystemTime};

/// Longer waits are capped to this.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// Parses the header's value. Fractions of a second, which the RFC does not have, are rounded up. A date in the past is a
/// wait of zero.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = match seconds(value) {
        Some(wait) => wait,
        None => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// Parses digits with an optional fraction.
fn seconds(value: &str) -> Option<Duration> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    // Digits that overflow are a very long wait.
    let whole: u64 = whole.parse().unwrap_or(u64::MAX);
    let more = fraction.bytes().any(|it| it != b'0');
    Some(Duration::from_secs(whole.saturating_add(more.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    #[test]
    fn seconds_and_dates_are_read_and_capped_and_anything_else_is_none() {
        for (value, expected) in [
            ("2", Some(2)),
            (" 120 ", Some(120)),
            ("0", Some(0)),
            ("007", Some(7)),
            ("3.5", Some(4)),
            ("3.0", Some(3)),
            ("0.001", Some(1)),
            ("86400", Some(86_400)),
            ("86401", Some(86_400)),
            ("18446744073709551615", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("99999999999999999999999.9", Some(86_400)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(10)),
            ("Sun Nov  6 08:49:47 1994", Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("Sunday, 06-Nov-33 08:49:37 GMT", Some(86_400)),
            ("Sun Nov  6 08:49:37 2033", Some(86_400)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("soon", None),
            (".5", None),
            ("1.5.2", None),
            ("1e3", None),
            ("1,5", None),
            ("Sun, 06 Foo 1994 08:49:47 GMT", None),
        ] {
            assert_eq!(retry_after(value, now()), expected.map(Duration::from_secs), "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}|[0-9.]{0,40}|[A-Za-z]{3}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT") {
            let wait = retry_after(&text, now());
            prop_assert!(wait.is_none_or(|it| it <= MAX_RETRY_AFTER));
        }
    }
}
