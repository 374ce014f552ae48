//! Whole years, in zones of all kinds: looked at as the engine does, a run is started on each day that there is, once.

use jiff::civil::{Date, DateTime, Time, date, time};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::*;

/// A year with changes of the clocks, in zones with all kinds of them.
const YEARS: [(&str, i16); 12] = [
    ("Europe/Berlin", 2026),
    ("America/New_York", 2026),
    ("Australia/Lord_Howe", 2026),
    ("America/Sao_Paulo", 2018),
    ("Asia/Beirut", 2026),
    ("Africa/Cairo", 2026),
    ("America/Nuuk", 2026),
    ("Antarctica/Troll", 2026),
    ("Pacific/Apia", 2011),
    ("Africa/Casablanca", 2026),
    ("Asia/Kathmandu", 2026),
    ("UTC", 2028),
];

/// In what is skipped or comes twice in one or another of these zones, at its edges, and outside.
const TIMES: [Time; 6] =
    [time(0, 0, 0, 0), time(1, 30, 0, 0), time(2, 0, 0, 0), time(2, 30, 0, 0), time(4, 0, 0, 0), time(23, 30, 0, 0)];

/// Whether a day's beginning is on that day, by other means than the calendar's.
fn exists(day: Date, zone: &TimeZone) -> bool {
    day.to_zoned_datetime(zone.clone()).is_ok_and(|beginning| beginning.date() == day)
}

/// Whether an instant is the one at which that civil time is due.
fn is_right(instant: Timestamp, civil: DateTime, zone: &TimeZone) -> bool {
    match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { .. } => zone.to_datetime(instant) == civil,
        AmbiguousOffset::Fold { before, .. } => {
            before.to_datetime(instant) == civil && zone.to_offset(instant) == before
        }
        AmbiguousOffset::Gap { .. } => {
            let just_before = instant - SignedDuration::from_nanos(1);
            zone.to_datetime(just_before) < civil && zone.to_datetime(instant) > civil
        }
    }
}

#[test]
fn a_run_is_started_once_on_each_day_that_there_is() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut days_without = 0;
    for (name, year) in YEARS {
        for daily_at in TIMES {
            let zone = Zone::of_world(name);
            let begin = zone.instant(date(year, 1, 1).at(0, 0, 0, 0)).unwrap() - SignedDuration::from_secs(1);
            let end = zone.instant(date(year + 1, 1, 1).at(0, 0, 0, 0)).unwrap() - SignedDuration::from_secs(1);
            let mut table = Timetable::new(Calendar::new(zone.clone(), daily_at, &[]), true, None, begin);
            let (mut now, mut fired) = (begin, Vec::new());
            while now < end {
                // As time passes between looks: irregularly, and by less than what counts as missed.
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                now = end.min(now + SignedDuration::from_millis(1 + i64::try_from(random % 119_000).unwrap()));
                let Advance { due, next } = table.advance(now);
                assert!(next.unwrap() > now);
                if let Some(due) = due {
                    assert_eq!((due.what, due.further), (Action::Start, 0), "{name} {daily_at}: {due:?}");
                    fired.push(due.at);
                }
            }
            let all = date(year, 1, 1).series(jiff::ToSpan::days(1)).take_while(|day| day.year() == year);
            let (days, none): (Vec<Date>, Vec<Date>) = all.partition(|day| exists(*day, zone.time_zone()));
            days_without += none.len();
            assert_eq!(fired.len(), days.len(), "{name} {daily_at}");
            for (instant, day) in fired.into_iter().zip(days) {
                let civil = day.to_datetime(daily_at);
                assert!(is_right(instant, civil, zone.time_zone()), "{name}: {civil} at {instant}");
            }
        }
    }
    assert_eq!(days_without, TIMES.len(), "one day was skipped in one of the zones");
}

#[test]
fn the_zones_change_their_clocks_within_what_is_tested() {
    let kinds = |kind: fn(&AmbiguousOffset) -> bool| {
        let civil = |day: Date| TIMES.iter().map(move |it| day.to_datetime(*it));
        let changes = |(name, year): &(&str, i16)| {
            let zone = Zone::of_world(name);
            let mut days = date(*year, 1, 1).series(jiff::ToSpan::days(1)).take(365).flat_map(civil);
            days.any(|it| kind(&zone.time_zone().to_ambiguous_timestamp(it).offset()))
        };
        YEARS.iter().filter(|year| changes(year)).count()
    };
    let gaps = kinds(|it| matches!(it, AmbiguousOffset::Gap { .. }));
    let folds = kinds(|it| matches!(it, AmbiguousOffset::Fold { .. }));
    assert!(gaps >= 9 && folds >= 9, "times are skipped in {gaps} zones, and come twice in {folds}");
}
