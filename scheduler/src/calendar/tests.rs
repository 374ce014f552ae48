//! Instants against what the clocks of the world really did, and against a clock on a wall that is watched minute by minute.

use jiff::civil::{date, time};
use jiff::{SignedDuration, ToSpan as _};
use proptest::prelude::*;

use super::*;

/// With changes of every kind: by an hour, half an hour and two, at night, at midnight, into and out of the day before,
/// backwards in summer, in Ramadan, by a whole day, and none.
pub(crate) const ZONES: [&str; 14] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Africa/Cairo",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "America/Nuuk",
    "Antarctica/Troll",
    "Europe/Dublin",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "UTC",
];

fn cron(texts: &[&str]) -> Vec<Cron> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The first runs from the beginning of a date on.
fn runs(calendar: &Calendar, from: Date, count: usize) -> String {
    let zone = calendar.zone();
    let mut instant = zone.instant(from.at(0, 0, 0, 0)).unwrap() - SignedDuration::from_nanos(1);
    let mut lines = Vec::new();
    for _ in 0..count {
        instant = calendar.after(instant).unwrap();
        let local = instant.to_zoned_datetime(zone.time_zone().clone());
        lines.push(local.strftime("%a %Y-%m-%d %H:%M:%S %:z").to_string());
    }
    lines.join("\n")
}

fn daily(zone: &str, at: Time) -> Calendar {
    Calendar::new(Zone::of_world(zone), at, &[])
}

/// The runs of daily calendars: zone, time of day, first date, number of runs.
fn daily_runs(cases: &[(&str, Time, Date, usize)]) -> String {
    let case = |&(zone, at, from, count)| format!("{zone}\n{}", runs(&daily(zone, at), from, count));
    cases.iter().map(case).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_skipped_time_is_due_at_the_end_of_the_gap() {
    let runs = daily_runs(&[
        ("Europe/Berlin", time(2, 30, 0, 0), date(2026, 3, 28), 3),
        ("Australia/Lord_Howe", time(2, 15, 0, 0), date(2026, 10, 3), 3),
        ("America/Sao_Paulo", time(0, 0, 0, 0), date(2018, 11, 3), 3),
        // 23:00 to 24:00 is skipped: the gap ends with the day.
        ("America/Nuuk", time(23, 30, 0, 0), date(2026, 3, 27), 4),
    ]);
    insta::assert_snapshot!(runs, @r"
    Europe/Berlin
    Sat 2026-03-28 02:30:00 +01:00
    Sun 2026-03-29 03:00:00 +02:00
    Mon 2026-03-30 02:30:00 +02:00
    Australia/Lord_Howe
    Sat 2026-10-03 02:15:00 +10:30
    Sun 2026-10-04 02:30:00 +11:00
    Mon 2026-10-05 02:15:00 +11:00
    America/Sao_Paulo
    Sat 2018-11-03 00:00:00 -03:00
    Sun 2018-11-04 01:00:00 -02:00
    Mon 2018-11-05 00:00:00 -02:00
    America/Nuuk
    Fri 2026-03-27 23:30:00 -02:00
    Sun 2026-03-29 00:00:00 -01:00
    Sun 2026-03-29 23:30:00 -01:00
    Mon 2026-03-30 23:30:00 -01:00
    ");
}

#[test]
fn a_repeated_time_is_due_once() {
    let runs = daily_runs(&[
        ("Europe/Berlin", time(2, 30, 0, 0), date(2026, 10, 24), 3),
        ("America/New_York", time(1, 30, 0, 0), date(2026, 10, 31), 3),
        // The last hour of a day is repeated.
        ("Asia/Beirut", time(23, 30, 0, 0), date(2026, 10, 23), 3),
        ("Asia/Beirut", time(0, 0, 0, 0), date(2026, 10, 24), 3),
        // A whole day is repeated.
        ("Pacific/Kwajalein", time(4, 0, 0, 0), date(1969, 9, 29), 4),
    ]);
    insta::assert_snapshot!(runs, @r"
    Europe/Berlin
    Sat 2026-10-24 02:30:00 +02:00
    Sun 2026-10-25 02:30:00 +02:00
    Mon 2026-10-26 02:30:00 +01:00
    America/New_York
    Sat 2026-10-31 01:30:00 -04:00
    Sun 2026-11-01 01:30:00 -04:00
    Mon 2026-11-02 01:30:00 -05:00
    Asia/Beirut
    Fri 2026-10-23 23:30:00 +03:00
    Sat 2026-10-24 23:30:00 +03:00
    Sun 2026-10-25 23:30:00 +02:00
    Asia/Beirut
    Sat 2026-10-24 00:00:00 +03:00
    Sun 2026-10-25 00:00:00 +02:00
    Mon 2026-10-26 00:00:00 +02:00
    Pacific/Kwajalein
    Mon 1969-09-29 04:00:00 +11:00
    Tue 1969-09-30 04:00:00 +11:00
    Wed 1969-10-01 04:00:00 -12:00
    Thu 1969-10-02 04:00:00 -12:00
    ");
}

#[test]
fn a_skipped_day_has_no_run() {
    insta::assert_snapshot!(runs(&daily("Pacific/Apia", time(4, 0, 0, 0)), date(2011, 12, 28), 4), @r"
    Wed 2011-12-28 04:00:00 -10:00
    Thu 2011-12-29 04:00:00 -10:00
    Sat 2011-12-31 04:00:00 +14:00
    Sun 2012-01-01 04:00:00 +14:00
    ");
    insta::assert_snapshot!(runs(&daily("Pacific/Apia", time(0, 0, 0, 0)), date(2011, 12, 28), 4), @r"
    Wed 2011-12-28 00:00:00 -10:00
    Thu 2011-12-29 00:00:00 -10:00
    Sat 2011-12-31 00:00:00 +14:00
    Sun 2012-01-01 00:00:00 +14:00
    ");
    let often = Calendar::new(Zone::of_world("Pacific/Apia"), time(4, 0, 0, 0), &cron(&["*/40 20 * * *"]));
    insta::assert_snapshot!(runs(&often, date(2011, 12, 29), 5), @r"
    Thu 2011-12-29 04:00:00 -10:00
    Thu 2011-12-29 20:00:00 -10:00
    Thu 2011-12-29 20:40:00 -10:00
    Sat 2011-12-31 04:00:00 +14:00
    Sat 2011-12-31 20:00:00 +14:00
    ");
    let of_that_day = Calendar::new(Zone::of_world("Pacific/Apia"), time(4, 0, 0, 0), &cron(&["15 5 30 12 *"]));
    let runs: Vec<_> = of_that_day.run_after(at("2011-12-30T14:00:00Z")).into_iter().collect();
    assert_eq!(runs[0].1, [&Rule::Daily(time(4, 0, 0, 0))], "the cron expression means the skipped day");
}

#[test]
fn cron_expressions_follow_civil_time() {
    let hourly = Calendar::new(Zone::of_world("Europe/Berlin"), time(0, 0, 0, 0), &cron(&["0,30 1-3 * * *"]));
    insta::assert_snapshot!(runs(&hourly, date(2026, 3, 29), 6), @r"
    Sun 2026-03-29 00:00:00 +01:00
    Sun 2026-03-29 01:00:00 +01:00
    Sun 2026-03-29 01:30:00 +01:00
    Sun 2026-03-29 03:00:00 +02:00
    Sun 2026-03-29 03:30:00 +02:00
    Mon 2026-03-30 00:00:00 +02:00
    ");
    insta::assert_snapshot!(runs(&hourly, date(2026, 10, 25), 8), @r"
    Sun 2026-10-25 00:00:00 +02:00
    Sun 2026-10-25 01:00:00 +02:00
    Sun 2026-10-25 01:30:00 +02:00
    Sun 2026-10-25 02:00:00 +02:00
    Sun 2026-10-25 02:30:00 +02:00
    Sun 2026-10-25 03:00:00 +01:00
    Sun 2026-10-25 03:30:00 +01:00
    Mon 2026-10-26 00:00:00 +01:00
    ");
}

#[test]
fn rules_due_together_are_one_run() {
    let rules = cron(&["0 4 * * mon", "@hourly", "59 3 * * *"]);
    let calendar = Calendar::new(Zone::of_world("Europe/Berlin"), time(4, 0, 0, 0), &rules);
    let (due, met) = calendar.run_after(at("2026-11-30T02:59:59Z")).unwrap();
    assert_eq!(due, at("2026-11-30T03:00:00Z"));
    let names: Vec<String> = met.into_iter().map(ToString::to_string).collect();
    assert_eq!(names, ["daily at 04:00", "cron 0 4 * * mon", "cron @hourly"]);
    assert_eq!(calendar.after(due), Some(at("2026-11-30T04:00:00Z")));
}

#[test]
fn the_zone_is_configured_or_the_systems() {
    use r3e_common::runtime::config::{ConfigArgs, Environment};
    let folder = tempfile::tempdir().unwrap();
    let of = |text: &str| {
        std::fs::write(folder.path().join("r3e.toml"), text).unwrap();
        let arguments = ConfigArgs { config: Some(folder.path().join("r3e.toml").into()), ..ConfigArgs::default() };
        Calendar::of(&arguments.load(&Environment::of_process()).unwrap().config.schedule)
    };
    let calendar = of("[schedule]\ndaily_at = '05:45'\ntime_zone = 'Asia/Kathmandu'\ncron = ['@weekly', '1 2 * * *']");
    assert_eq!((calendar.zone().name(), calendar.zone().is_of_system()), (Some("Asia/Kathmandu"), false));
    let rules: Vec<String> = calendar.rules().iter().map(ToString::to_string).collect();
    assert_eq!(rules, ["daily at 05:45", "cron @weekly", "cron 1 2 * * *"]);
    assert_eq!(calendar.after(at("2026-11-24T00:00:00Z")), Some(at("2026-11-24T20:16:00Z")));
    assert!(of("").zone().is_of_system());
}

#[test]
fn at_the_end_of_time_nothing_is_due() {
    let calendar = daily("UTC", time(4, 0, 0, 0));
    assert_eq!(calendar.after(Timestamp::MAX), None);
    assert_eq!(calendar.run_after(Timestamp::MAX), None);
    assert!(calendar.after(Timestamp::MIN).is_some());
}

/// All runs of a calendar in a span, as one finds them who watches a clock on the wall: a minute is due when it is shown for
/// the first time, or is skipped, unless its whole day is.
fn watched(calendar: &Calendar, start: Timestamp, minutes: i64) -> Vec<Timestamp> {
    let means = |minute: DateTime| calendar.rules().iter().any(|rule| rule.first_from(minute) == Some(minute));
    let zone = calendar.zone();
    // What was shown before the start counts as well.
    let lead = 48 * 60;
    let mut latest = zone.civil(start - SignedDuration::from_mins(lead));
    let mut due = Vec::new();
    for passed in -lead..=minutes {
        let now = start + SignedDuration::from_mins(passed);
        let shown = zone.civil(now);
        let mut is_due = false;
        let mut minute = latest + 1.minute();
        while minute <= shown {
            let day = minute.date();
            let skipped_from = latest + 1.minute();
            let no_day = day.at(0, 0, 0, 0) >= skipped_from && day.tomorrow().unwrap().at(0, 0, 0, 0) <= shown;
            is_due |= means(minute) && !no_day;
            minute += 1.minute();
        }
        latest = latest.max(shown);
        if is_due && passed > 0 {
            due.push(now);
        }
    }
    due
}

/// All runs after `start`, in so many minutes.
fn found(calendar: &Calendar, start: Timestamp, minutes: i64) -> Vec<Timestamp> {
    let end = start + SignedDuration::from_mins(minutes);
    let next = |it: &Timestamp| calendar.after(*it).filter(|due| *due <= end);
    std::iter::successors(next(&start), next).collect()
}

fn calendars() -> impl Strategy<Value = Calendar> {
    let texts =
        ["* * * * *", "30 2 * * *", "*/7 0-3 * * *", "0 * * * *", "0 0 * * mon", "59 23 * * *", "15,45 */2 */3 * *"];
    let rules = prop::collection::vec(prop::sample::select(texts.to_vec()), 0..3);
    (prop::sample::select(ZONES.to_vec()), rules, 0..24_i8, 0..60_i8).prop_map(|(zone, rules, hour, minute)| {
        Calendar::new(Zone::of_world(zone), time(hour, minute, 0, 0), &cron(&rules))
    })
}

/// A second of the years 1975 to 2050, when all of these zones are whole minutes from UTC.
fn instants() -> impl Strategy<Value = Timestamp> {
    let seconds = at("1975-01-01T00:00:00Z").as_second()..at("2050-01-01T00:00:00Z").as_second();
    (seconds, 0..1_000_000_000_i32).prop_map(|(second, nanos)| Timestamp::new(second, nanos).unwrap())
}

/// The same minute, a few hours before the next change of the clocks, if there is one.
fn before_change(calendar: &Calendar, instant: Timestamp, hours: i64) -> Timestamp {
    let change = calendar.zone().time_zone().following(instant).next().map_or(instant, |it| it.timestamp());
    let minute = change.min(at("2050-01-01T00:00:00Z")).as_second() / 60 * 60;
    Timestamp::from_second(minute - hours * 3600).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn around_clock_changes_runs_follow_civil_time(
        calendar in calendars(),
        instant in instants(),
        hours in 0..30_i64,
    ) {
        let (start, minutes) = (before_change(&calendar, instant, hours), 36 * 60);
        prop_assert_eq!(found(&calendar, start, minutes), watched(&calendar, start, minutes));
    }

    #[test]
    fn the_next_run_is_later_the_same_until_then_and_never_earlier_for_a_later_instant(
        calendar in calendars(),
        instant in instants(),
        near in prop::option::of(0..30_i64),
        fraction in 0.0..1.0_f64,
    ) {
        let from = near.map_or(instant, |hours| before_change(&calendar, instant, hours));
        let due = calendar.after(from).unwrap();
        prop_assert!(due > from);
        let between = from + due.duration_since(from).mul_f64(fraction);
        let again = if between < due { due } else { calendar.after(due).unwrap() };
        prop_assert_eq!(calendar.after(between), Some(again), "from {} by way of {}", from, between);
        prop_assert_eq!(calendar.after(due - SignedDuration::from_nanos(1)), Some(due));
        prop_assert!(calendar.after(due).unwrap() > due);
        let (same, rules) = calendar.run_after(from).unwrap();
        prop_assert!(same == due && !rules.is_empty());
    }
}
