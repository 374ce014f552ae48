//! What `next` and `check` show.

use jiff::civil::time;

use super::report::{Run, Summary, runs_json, runs_text};
use crate::calendar::{Calendar, Zone};
use crate::timetable::Timetable;
use jiff::Timestamp;

fn calendar(zone: &str, cron: &[&str]) -> Calendar {
    let cron: Vec<_> = cron.iter().map(|text| text.parse().unwrap()).collect();
    Calendar::new(Zone::of_world(zone), time(2, 30, 0, 0), &cron)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn next_shows_one_run_a_line_with_all_that_makes_it_due() {
    let calendar = calendar("Europe/Berlin", &["30 2 * * sun", "0 12 28 3 *"]);
    let runs = Run::following(&calendar, at("2026-03-28T01:29:18.5Z"), 5);
    insta::assert_snapshot!(runs_text(&runs), @r"
    Sat 2026-03-28 02:30 +01:00 Europe/Berlin  in 41s      daily at 02:30
    Sat 2026-03-28 12:00 +01:00 Europe/Berlin  in 9h30m    cron 0 12 28 3 *
    Sun 2026-03-29 03:00 +02:00 Europe/Berlin  in 23h30m   daily at 02:30 and cron 30 2 * * sun
    Mon 2026-03-30 02:30 +02:00 Europe/Berlin  in 1d23h    daily at 02:30
    Tue 2026-03-31 02:30 +02:00 Europe/Berlin  in 2d23h    daily at 02:30
    ");
    insta::assert_snapshot!(runs_json(&runs[2..3]), @r#"[{"at":"2026-03-29T03:00:00+02:00","in_seconds":84641,"rules":[{"daily_at":"02:30"},{"cron":"30 2 * * sun"}],"time_zone":"Europe/Berlin"}]"#);
    assert_eq!((runs_text(&[]), runs_json(&[])), (String::new(), "[]\n".to_owned()));
}

#[test]
fn at_the_end_of_time_there_are_fewer() {
    let calendar = calendar("UTC", &[]);
    let runs = Run::following(&calendar, at("9999-12-28T00:00:00Z"), 10);
    insta::assert_snapshot!(runs_text(&runs), @r"
    Tue 9999-12-28 02:30 +00:00 UTC  in 2h30m    daily at 02:30
    Wed 9999-12-29 02:30 +00:00 UTC  in 1d02h    daily at 02:30
    Thu 9999-12-30 02:30 +00:00 UTC  in 2d02h    daily at 02:30
    ");
}

/// Of a start then, when so much was settled.
fn summary<'a>(calendar: &'a Calendar, settled: Option<&str>, catch_up: bool, now: &str) -> Summary<'a> {
    let due = Timetable::new(calendar.clone(), catch_up, settled.map(at), at(now)).look(at(now)).due;
    Summary {
        next: Run::following(calendar, at(now), 1).pop(),
        calendar,
        due,
        boards: 14_703,
        catalog: None,
        cache: "/var/lib/r3e/cache".to_owned(),
        staging: "/var/lib/r3e/cache_temp".to_owned(),
    }
}

#[test]
fn check_shows_what_a_start_would_find() {
    let every_day = calendar("Europe/Berlin", &[]);
    let found = summary(&every_day, None, true, "2026-11-24T12:00:00Z");
    insta::assert_snapshot!(found.text(), @r"
    The configuration is right.
    time zone  Europe/Berlin (schedule.time_zone)
    rules      daily at 02:30
    next run   Wed 2026-11-25 02:30 +01:00 Europe/Berlin, in 13h30m
    catalogue  14703 boards (built in)
    cache      /var/lib/r3e/cache
    staging    /var/lib/r3e/cache_temp
    ");
    insta::assert_snapshot!(found.json(), @r#"{"boards":14703,"cache":"/var/lib/r3e/cache","catalog":null,"due":null,"next":{"at":"2026-11-25T02:30:00+01:00","in_seconds":48600,"rules":[{"daily_at":"02:30"}],"time_zone":"Europe/Berlin"},"rules":[{"daily_at":"02:30"}],"staging":"/var/lib/r3e/cache_temp","time_zone":"Europe/Berlin"}"#);

    let often = calendar("Asia/Kathmandu", &["@hourly", "15 12 * * 1-5"]);
    let missed = summary(&often, Some("2026-11-24T09:00:00Z"), true, "2026-11-24T12:00:00Z");
    let missed = Summary { catalog: Some("/etc/r3e/catalog.toml".to_owned()), ..missed };
    insta::assert_snapshot!(missed.text(), @r"
    The configuration is right.
    time zone  Asia/Kathmandu (schedule.time_zone)
    rules      daily at 02:30
               cron @hourly
               cron 15 12 * * 1-5
    due        Tue 2026-11-24 17:00 +05:45 Asia/Kathmandu, and 2 before it: a start makes up for it
    next run   Tue 2026-11-24 18:00 +05:45 Asia/Kathmandu, in 15m00s
    catalogue  14703 boards (/etc/r3e/catalog.toml)
    cache      /var/lib/r3e/cache
    staging    /var/lib/r3e/cache_temp
    ");
    insta::assert_snapshot!(missed.json(), @r#"{"boards":14703,"cache":"/var/lib/r3e/cache","catalog":"/etc/r3e/catalog.toml","due":{"at":"2026-11-24T17:00:00+05:45","further":2,"what":"make up"},"next":{"at":"2026-11-24T18:00:00+05:45","in_seconds":900,"rules":[{"cron":"@hourly"}],"time_zone":"Asia/Kathmandu"},"rules":[{"daily_at":"02:30"},{"cron":"@hourly"},{"cron":"15 12 * * 1-5"}],"staging":"/var/lib/r3e/cache_temp","time_zone":"Asia/Kathmandu"}"#);
    let skipped = summary(&every_day, Some("2026-11-23T09:00:00Z"), false, "2026-11-24T12:00:00Z").text();
    insta::assert_snapshot!(skipped.lines().nth(3).unwrap(), @"due        Tue 2026-11-24 02:30 +01:00 Europe/Berlin: a start skips it");
}
