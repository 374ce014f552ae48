//! Dates as the service sends them.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Microseconds since 1970 in UTC of a date: RFC 3339, where a missing offset means UTC, or `MM/DD/YYYY` with or without a time.
/// `None` if it cannot be read.
#[must_use]
pub fn utc_microseconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let civil = || {
        let read = |format: &str| DateTime::strptime(format, text).ok();
        let date = |format: &str| Date::strptime(format, text).ok().map(|it| it.at(0, 0, 0, 0));
        let time = text.parse::<DateTime>().ok();
        let time = time.or_else(|| read("%m/%d/%Y %H:%M:%S")).or_else(|| read("%m/%d/%Y %H:%M"));
        TimeZone::UTC.to_timestamp(time.or_else(|| date("%m/%d/%Y"))?).ok()
    };
    Some(text.parse::<Timestamp>().ok().or_else(civil)?.as_microsecond())
}
