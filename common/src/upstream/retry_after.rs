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
    fn seconds_of_any_length() {
        for (value, expected) in [
            ("2", 2),
            (" 120 ", 120),
            ("0", 0),
            ("007", 7),
            ("3.5", 4),
            ("3.0", 3),
            ("0.001", 1),
            ("86400", 86_400),
            ("86401", 86_400),
            ("18446744073709551615", 86_400),
            ("99999999999999999999999", 86_400),
            ("99999999999999999999999.9", 86_400),
        ] {
            assert_eq!(retry_after(value, now()), Some(Duration::from_secs(expected)), "{value}");
        }
    }

    #[test]
    fn dates_in_three_forms() {
        for (value, expected) in [
            ("Sun, 06 Nov 1994 08:49:47 GMT", 10),
            ("Sunday, 06-Nov-94 08:49:47 GMT", 10),
            ("Sun Nov  6 08:49:47 1994", 10),
            ("Sun, 06 Nov 1994 08:49:27 GMT", 0),
            ("Sunday, 06-Nov-33 08:49:37 GMT", 86_400),
            ("Sun Nov  6 08:49:37 2033", 86_400),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ] {
            assert_eq!(retry_after(value, now()), Some(Duration::from_secs(expected)), "{value}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for wrong in ["", "-1", "+1", "soon", ".5", "1.5.2", "1e3", "1,5", "Sun, 06 Foo 1994 08:49:47 GMT"] {
            assert_eq!(retry_after(wrong, now()), None, "{wrong}");
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
