//! Amounts with three digits and a unit, durations, and times.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Bytes in units of 2^10, in at most 8 columns.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let mut amount = bytes as f64;
    for unit in ["B", "KB", "MB", "GB"] {
        if amount < 999.5 {
            return number(amount, unit);
        }
        amount /= 1024.0;
    }
    number(amount, "TB")
}

fn number(amount: f64, unit: &str) -> String {
    let digits = usize::from(unit != "B" && amount < 99.95);
    format!("{amount:.digits$} {unit}")
}

/// A difference in bytes.
pub(crate) fn signed_bytes(difference: i64) -> String {
    let sign = if difference < 0 { "-" } else { "" };
    format!("{sign}{}", bytes(difference.unsigned_abs()))
}

/// A value, or a dash if there is none.
pub(crate) fn or_dash<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

/// A duration with its two largest units.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{:.1}s", seconds.max(0.0));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is at least 9.95, and saturates")]
    let whole = seconds.round() as u64;
    match (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes:02}m"),
        (days, hours, _, _) => format!("{days}d{hours:02}h"),
    }
}

/// Local time of milliseconds since 1970.
pub(super) fn moment(ms: i64, zone: &TimeZone) -> String {
    let Ok(moment) = Timestamp::from_millisecond(ms) else { return "-".to_owned() };
    zone.to_datetime(moment).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Milliseconds since 1970 in RFC 3339.
pub(super) fn rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| r3e_common::runtime::NEVER.to_owned(), |it| it.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_three_digits() {
        let shown: Vec<String> =
            [0, 999, 1000, 1023, 1024, 10 << 10, 99 << 20, 100 << 20, 999 << 20, 1000 << 20, 3 << 40].map(bytes).into();
        assert_eq!(
            shown.join(", "),
            "0 B, 999 B, 1.0 KB, 1.0 KB, 1.0 KB, 10.0 KB, 99.0 MB, 100 MB, 999 MB, 1.0 GB, 3.0 TB"
        );
        assert_eq!(signed_bytes(-(5 << 20)), "-5.0 MB");
        assert_eq!(or_dash(None, bytes), "-");
    }

    #[test]
    fn times_have_two_units() {
        let shown: Vec<String> =
            [-1.0, 0.04, 9.94, 9.96, 59.6, 3599.0, 3600.0, 90_000.0, 8_640_000.0].map(seconds).into();
        assert_eq!(shown.join(", "), "0.0s, 0.0s, 9.9s, 10s, 1m00s, 59m59s, 1h00m, 1d01h, 100d00h");
    }

    #[test]
    fn times_are_local() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(moment(0, &zone), "1970-01-01 02:00:00");
        assert_eq!(moment(i64::MAX, &zone), "-");
        assert_eq!(rfc3339(1500), "1970-01-01T00:00:01.5Z");
    }
}
