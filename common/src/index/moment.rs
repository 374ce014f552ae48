//! When a lap was driven, as a comparable number, whatever the format of its date.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::packed;
use super::rows::Stored;
use crate::domain::utc_microseconds;

/// Microseconds since 1970 in UTC; a date that cannot be read is older than all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

const UNKNOWN: Moment = Moment(i64::MIN);

impl Moment {
    /// Parses a stored date: RFC 3339, where a missing offset means UTC, or `MM/DD/YYYY` with or without a time.
    pub(super) fn of(date: Stored<'_>) -> Self {
        match date {
            Stored::Packed(packed) => {
                let [year, rest @ ..] = packed::date_fields(packed);
                let [month, day, hour, minute, second] = rest.map(|it| i8::try_from(it).unwrap_or_default());
                // Treat a leap second as the second before it, as jiff's parser does.
                let time =
                    DateTime::new(year, month, day, hour, minute, second.min(if second == 60 { 59 } else { 99 }), 0);
                Self::in_utc(time.ok())
            }
            Stored::Text(text) => utc_microseconds(text).map_or(UNKNOWN, Self),
        }
    }

    fn in_utc(time: Option<DateTime>) -> Self {
        let moment = time.and_then(|it| TimeZone::UTC.to_timestamp(it).ok());
        moment.map_or(UNKNOWN, |it| Self(it.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_are_compared_as_times() {
        let ascending = [
            "soon",
            "01/15/2024",
            "2024-01-15T14:30:00",
            "01/15/2024 14:30:01",
            "2024-01-15T16:30:01.5+02:00",
            "2024-01-15T14:30:02Z",
            "12/31/2024 09:00",
            "2025-01-01",
        ];
        let moments: Vec<Moment> = ascending.iter().map(|it| Moment::of(Stored::Text(it))).collect();
        assert!(moments.is_sorted_by(|a, b| a < b), "{moments:?}");
        for unknown in ["", "13/45/2025 00:00:00", "2025-02-30T00:00:00", "yesterday"] {
            assert_eq!(Moment::of(Stored::Text(unknown)), UNKNOWN, "{unknown}");
        }
    }

    #[test]
    fn packed_dates_are_the_same_moments() {
        for text in ["2025-01-15T14:30:00", "01/15/2025 14:30:00", "2025-13-45T14:30:00"] {
            let packed = Stored::Packed(packed::pack_date(text).unwrap());
            assert_eq!(Moment::of(packed), Moment::of(Stored::Text(text)), "{text}");
        }
    }
}
