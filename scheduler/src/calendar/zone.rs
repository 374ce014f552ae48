//! A time zone, and how civil times map to instants.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// A time zone, and whether it is the system's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    zone: TimeZone,
    of_system: bool,
}

impl Zone {
    /// A configured time zone.
    #[must_use]
    pub fn named(zone: TimeZone) -> Self {
        Self { zone, of_system: false }
    }

    /// The system's time zone. If it is unknown, which is logged, UTC.
    #[must_use]
    pub fn of_system() -> Self {
        let zone = TimeZone::try_system().unwrap_or_else(|error| {
            tracing::warn!(%error, "unknown system time zone; using UTC (hint: set schedule.time_zone)");
            TimeZone::UTC
        });
        Self { zone, of_system: true }
    }

    /// Whether it is the system's.
    #[must_use]
    pub fn is_of_system(&self) -> bool {
        self.of_system
    }

    /// Its name; `None` if the system's zone has none.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.zone.iana_name()
    }

    /// The zone itself.
    #[must_use]
    pub fn time_zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The civil time at an instant.
    #[must_use]
    pub fn civil(&self, instant: Timestamp) -> DateTime {
        self.zone.to_datetime(instant)
    }

    /// The instant of a civil time: the first one if the time is repeated, the end of the gap if it is skipped. `None` if
    /// its whole day is skipped, or it is out of range.
    #[must_use]
    pub fn instant(&self, civil: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { before, after } => self.end_of_gap(civil, before, after),
            _ => ambiguous.earlier().ok(),
        }
    }

    fn end_of_gap(&self, civil: DateTime, before: Offset, after: Offset) -> Option<Timestamp> {
        // With the old offset, the skipped time is after the change; the change is the last one before that.
        let latest = before.to_timestamp(civil).ok()?;
        let earliest = after.to_timestamp(civil).ok()?;
        let changes = self.zone.following(earliest).take_while(|change| change.timestamp() <= latest);
        let end = changes.filter(|change| change.offset() == after).last().map_or(latest, |change| change.timestamp());
        let skipped = before.to_datetime(end)..after.to_datetime(end);
        let day = civil.date();
        let whole_day = skipped.start <= day.at(0, 0, 0, 0) && day.tomorrow().ok()?.at(0, 0, 0, 0) <= skipped.end;
        if whole_day { None } else { Some(end) }
    }
}

#[cfg(test)]
impl Zone {
    /// For tests, which check what real clocks did.
    pub(crate) fn of_world(name: &str) -> Self {
        let zone = TimeZone::get(name).unwrap_or_else(|error| {
            panic!(
                "tests need the system's time-zone database (of Debian the package tzdata); it has no {name}: {error}"
            )
        });
        Self::named(zone)
    }
}
