//! What `next` and `check` show.

use jiff::civil::time;

use super::report::{Run, Summary, Upcoming, Waiting};
use crate::calendar::{Calendar, Zone};
use crate::saved_state::Pending;
use crate::timetable::Timetable;
use jiff::Timestamp;
use r3e_common::runtime::config::{Config, Schedule};

/// The schedule by default.
fn schedule() -> Schedule {
    Config::default().schedule
}

fn calendar(zone: &str, cron: &[&str]) -> Calendar {
    let cron: Vec<_> = cron.iter().map(|text| text.parse().unwrap()).collect();
    Calendar::new(Zone::of_world(zone), time(2, 30, 0, 0), &cron)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn next_shows_one_run_per_line_with_its_rules() {
    let calendar = calendar("Europe/Berlin", &["30 2 * * sun", "0 12 28 3 *"]);
    let (schedule, now) = (schedule(), at("2026-03-28T01:29:18.5Z"));
    let mut next = Upcoming { waiting: None, runs: Run::following(&calendar, now, 5), schedule: &schedule };
    insta::assert_snapshot!(next.text(), @r"
    Sat 2026-03-28 02:30 +01:00 Europe/Berlin  in 41s      daily at 02:30
    Sat 2026-03-28 12:00 +01:00 Europe/Berlin  in 9h30m    cron 0 12 28 3 *
    Sun 2026-03-29 03:00 +02:00 Europe/Berlin  in 23h30m   daily at 02:30 and cron 30 2 * * sun
    Mon 2026-03-30 02:30 +02:00 Europe/Berlin  in 1d23h    daily at 02:30
    Tue 2026-03-31 02:30 +02:00 Europe/Berlin  in 2d23h    daily at 02:30
    A failed refresh is retried after 1m to 30m, until it succeeds or the next one is due (up to 3 times if waiting may not help).
    ");
    next.runs = next.runs.drain(2..3).collect();
    insta::assert_snapshot!(next.json(), @r#"[{"at":"2026-03-29T03:00:00+02:00","in_seconds":84641,"rules":[{"daily_at":"02:30"},{"cron":"30 2 * * sun"}],"time_zone":"Europe/Berlin"}]"#);
    next.runs.clear();
    assert_eq!((next.text().lines().count(), next.json()), (1, "[]\n".to_owned()));
}

#[test]
fn next_shows_a_refresh_that_waits_first() {
    let calendar = calendar("Europe/Berlin", &[]);
    let (schedule, now) = (schedule(), at("2026-03-28T02:00:00Z"));
    let states = [Some("2026-03-28T02:07:30Z"), Some("2026-03-28T01:59:00Z"), None].map(|not_before| {
        let pending = Pending { due_at: at("2026-03-28T01:30:00Z"), attempt: 3, not_before: not_before.map(at) };
        let waiting = Some(Waiting { pending, zone: calendar.zone(), now });
        let next = Upcoming { waiting, runs: Run::following(&calendar, now, 1), schedule: &schedule };
        format!("{}{}", next.text(), next.json())
    });
    insta::assert_snapshot!(states.join("\n"), @r#"
    Sat 2026-03-28 02:30 +01:00 Europe/Berlin  waiting     attempt 3 in 7m30s
    Sun 2026-03-29 03:00 +02:00 Europe/Berlin  in 23h00m   daily at 02:30
    A failed refresh is retried after 1m to 30m, until it succeeds or the next one is due (up to 3 times if waiting may not help).
    [{"at":"2026-03-28T02:30:00+01:00","in_seconds":-1800,"rules":[],"time_zone":"Europe/Berlin","waiting":{"attempt":3,"not_before":"2026-03-28T03:07:30+01:00"}},{"at":"2026-03-29T03:00:00+02:00","in_seconds":82800,"rules":[{"daily_at":"02:30"}],"time_zone":"Europe/Berlin"}]

    Sat 2026-03-28 02:30 +01:00 Europe/Berlin  waiting     attempt 3, running or waiting for another job
    Sun 2026-03-29 03:00 +02:00 Europe/Berlin  in 23h00m   daily at 02:30
    A failed refresh is retried after 1m to 30m, until it succeeds or the next one is due (up to 3 times if waiting may not help).
    [{"at":"2026-03-28T02:30:00+01:00","in_seconds":-1800,"rules":[],"time_zone":"Europe/Berlin","waiting":{"attempt":3,"not_before":"2026-03-28T02:59:00+01:00"}},{"at":"2026-03-29T03:00:00+02:00","in_seconds":82800,"rules":[{"daily_at":"02:30"}],"time_zone":"Europe/Berlin"}]

    Sat 2026-03-28 02:30 +01:00 Europe/Berlin  waiting     attempt 3 when the configuration is reloaded
    Sun 2026-03-29 03:00 +02:00 Europe/Berlin  in 23h00m   daily at 02:30
    A failed refresh is retried after 1m to 30m, until it succeeds or the next one is due (up to 3 times if waiting may not help).
    [{"at":"2026-03-28T02:30:00+01:00","in_seconds":-1800,"rules":[],"time_zone":"Europe/Berlin","waiting":{"attempt":3,"not_before":null}},{"at":"2026-03-29T03:00:00+02:00","in_seconds":82800,"rules":[{"daily_at":"02:30"}],"time_zone":"Europe/Berlin"}]
    "#);
}

#[test]
fn at_the_end_of_time_there_are_fewer() {
    let calendar = calendar("UTC", &[]);
    let runs = Run::following(&calendar, at("9999-12-28T00:00:00Z"), 10);
    let next = Upcoming { waiting: None, runs, schedule: &schedule() };
    insta::assert_snapshot!(next.text(), @r"
    Tue 9999-12-28 02:30 +00:00 UTC  in 2h30m    daily at 02:30
    Wed 9999-12-29 02:30 +00:00 UTC  in 1d02h    daily at 02:30
    Thu 9999-12-30 02:30 +00:00 UTC  in 2d02h    daily at 02:30
    A failed refresh is retried after 1m to 30m, until it succeeds or the next one is due (up to 3 times if waiting may not help).
    ");
}

/// Of a start then, when so much was settled.
fn summary<'a>(
    calendar: &'a Calendar,
    schedule: &'a Schedule,
    settled: Option<&str>,
    catch_up: bool,
    now: &str,
) -> Summary<'a> {
    let due = Timetable::new(calendar.clone(), catch_up, settled.map(at), at(now)).advance(at(now)).due;
    Summary {
        waiting: None,
        next: Run::following(calendar, at(now), 1).pop(),
        schedule,
        calendar,
        due,
        boards: 16_110,
        catalog: None,
        cache: "/var/lib/r3e/cache".to_owned(),
        staging: "/var/lib/r3e/cache_temp".to_owned(),
    }
}

#[test]
fn check_shows_what_a_start_would_find() {
    let (every_day, schedule) = (calendar("Europe/Berlin", &[]), schedule());
    let found = summary(&every_day, &schedule, None, true, "2026-11-24T12:00:00Z");
    insta::assert_snapshot!(found.text(), @r"
    The configuration is valid.
    time zone  Europe/Berlin (schedule.time_zone)
    rules      daily at 02:30
    next run   Wed 2026-11-25 02:30 +01:00 Europe/Berlin, in 13h30m
    retries    after 1m to 30m, until it succeeds or the next one is due (up to 3 times if waiting may not help)
    catalogue  16110 boards (built in)
    cache      /var/lib/r3e/cache
    staging    /var/lib/r3e/cache_temp
    ");
    insta::assert_snapshot!(found.json(), @r#"{"boards":16110,"cache":"/var/lib/r3e/cache","catalog":null,"due":null,"next":{"at":"2026-11-25T02:30:00+01:00","in_seconds":48600,"rules":[{"daily_at":"02:30"}],"time_zone":"Europe/Berlin"},"retries":{"attempts":3,"backoff_max_seconds":1800.0,"backoff_min_seconds":60.0},"rules":[{"daily_at":"02:30"}],"staging":"/var/lib/r3e/cache_temp","time_zone":"Europe/Berlin","waiting":null}"#);

    let often = calendar("Asia/Kathmandu", &["@hourly", "15 12 * * 1-5"]);
    let missed = summary(&often, &schedule, Some("2026-11-24T09:00:00Z"), true, "2026-11-24T12:00:00Z");
    let pending = Pending { due_at: at("2026-11-24T09:00:00Z"), attempt: 2, not_before: None };
    let waiting = Some(Waiting { pending, zone: often.zone(), now: at("2026-11-24T12:00:00Z") });
    let missed = Summary { catalog: Some("/etc/r3e/catalog.toml".to_owned()), waiting, ..missed };
    insta::assert_snapshot!(missed.text(), @r"
    The configuration is valid.
    time zone  Asia/Kathmandu (schedule.time_zone)
    rules      daily at 02:30
               cron @hourly
               cron 15 12 * * 1-5
    waiting    Tue 2026-11-24 14:45 +05:45 Asia/Kathmandu: attempt 2 when the configuration is reloaded; a start resumes it
    due        Tue 2026-11-24 17:00 +05:45 Asia/Kathmandu, and 2 before it: a start catches up
    next run   Tue 2026-11-24 18:00 +05:45 Asia/Kathmandu, in 15m00s
    retries    after 1m to 30m, until it succeeds or the next one is due (up to 3 times if waiting may not help)
    catalogue  16110 boards (/etc/r3e/catalog.toml)
    cache      /var/lib/r3e/cache
    staging    /var/lib/r3e/cache_temp
    ");
    insta::assert_snapshot!(missed.json(), @r#"{"boards":16110,"cache":"/var/lib/r3e/cache","catalog":"/etc/r3e/catalog.toml","due":{"at":"2026-11-24T17:00:00+05:45","further":2,"what":"make up"},"next":{"at":"2026-11-24T18:00:00+05:45","in_seconds":900,"rules":[{"cron":"@hourly"}],"time_zone":"Asia/Kathmandu"},"retries":{"attempts":3,"backoff_max_seconds":1800.0,"backoff_min_seconds":60.0},"rules":[{"daily_at":"02:30"},{"cron":"@hourly"},{"cron":"15 12 * * 1-5"}],"staging":"/var/lib/r3e/cache_temp","time_zone":"Asia/Kathmandu","waiting":{"attempt":2,"not_before":null}}"#);
    let skipped = summary(&every_day, &schedule, Some("2026-11-23T09:00:00Z"), false, "2026-11-24T12:00:00Z").text();
    insta::assert_snapshot!(skipped.lines().nth(3).unwrap(), @"due        Tue 2026-11-24 02:30 +01:00 Europe/Berlin: a start skips it");
}
