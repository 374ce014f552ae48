//! Times as text.

use std::time::SystemTime;

/// How the files write "never", as the older program did.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// A time in RFC 3339, in UTC; [`NEVER`] if it is outside the years that RFC 3339 covers.
#[must_use]
pub fn timestamp(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| NEVER.to_owned(), |it| it.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_written_in_rfc_3339() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_870_411_500);
        assert_eq!(timestamp(time), "2025-11-23T04:00:11.5Z");
        assert_eq!(timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40)), NEVER);
    }
}
