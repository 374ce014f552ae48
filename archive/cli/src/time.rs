//! Points in time on the command line.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// Not a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeError(&'static str);

impl std::fmt::Display for TimeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected {}", self.0)
    }
}

impl std::error::Error for TimeError {}

/// A time, or a date, which means the end of that day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until(pub Timestamp);

impl FromStr for Until {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let end_of = |date: Date| Some(start_of(date.tomorrow().ok()?)? - 1.millisecond());
        let read = text.parse().ok().or_else(|| date(text).and_then(end_of));
        read.map(Self).ok_or(TimeError("a date (2026-11-01) or a time (2026-11-01T04:30:00Z)"))
    }
}

/// The beginning of a period up to now: a duration, a time, or a date, which means the start of that day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// This long ago.
    Ago(Duration),
    /// Since that time.
    Time(Timestamp),
}

impl Since {
    /// The time that it means.
    #[must_use]
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(duration) => now.checked_sub(duration).unwrap_or(Timestamp::MIN),
            Self::Time(time) => time,
        }
    }
}

impl FromStr for Since {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let time = || text.parse().ok().or_else(|| date(text).and_then(start_of)).map(Self::Time);
        let read = humantime::parse_duration(text).ok().map(Self::Ago).or_else(time);
        read.ok_or(TimeError("a duration (7d), a date (2026-11-01) or a time (2026-11-01T04:30:00Z)"))
    }
}

/// A date alone: jiff takes a time without a zone for one too.
fn date(text: &str) -> Option<Date> {
    text.parse().ok().filter(|_| text.len() == "2026-11-01".len())
}

fn start_of(date: Date) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_end_or_its_start() {
        let until = |text: &str| text.parse::<Until>().map(|it| it.0.to_string());
        assert_eq!(until("2026-11-01").unwrap(), "2026-11-01T23:59:59.999Z");
        assert_eq!(until("2026-11-01T04:30:00+02:00").unwrap(), "2026-11-01T02:30:00Z");
        for wrong in ["", "7d", "2026-13-01", "yesterday", "2026-11-01T04:30:00"] {
            assert!(until(wrong).is_err(), "{wrong}");
        }
        let now: Timestamp = "2026-11-08T00:00:00Z".parse().unwrap();
        let since = |text: &str| text.parse::<Since>().map(|it| it.before(now).to_string());
        assert_eq!(since("7d"), since("2026-11-01"));
        assert_eq!(since("2026-11-01").unwrap(), "2026-11-01T00:00:00Z");
        assert!(since("a week").is_err());
    }
}
