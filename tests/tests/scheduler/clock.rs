//! The real program across 04:00, with its time shifted by libfaketime: what it does in a year is tested on its timetable.

use std::fs;

use r3e_tests::harness::{Invocation, Place, until};
use serde_json::json;

use crate::place::{log, logged, started, stopped, with_told_jobs};

/// Begins at that time of UTC, from which its time goes on; none, which is recorded, where there is no libfaketime.
#[track_caller]
pub(crate) fn at(scheduler: Invocation, time: &str) -> Option<Invocation> {
    let library = r3e_needs::program("/usr/lib/*/faketime/libfaketime.so.1")?;
    let shifted =
        scheduler.variable("LD_PRELOAD", &library.to_string_lossy()).variable("FAKETIME", &format!("@{time}"));
    Some(shifted.variable("FAKETIME_DONT_FAKE_MONOTONIC", "1").variable("TZ", "UTC"))
}

fn quiet(place: &Place) -> Invocation {
    with_told_jobs(place, &[]).set("schedule.load_at_start", "false").set("schedule.time_zone", "Europe/Berlin")
}

/// What is settled, as the scheduler keeps it.
fn settled(place: &Place) -> String {
    let text = fs::read_to_string(place.staging().join(".scheduler.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["settled_at"].as_str().unwrap().to_owned()
}

fn set_settled(place: &Place, at: &str) {
    fs::create_dir_all(place.staging()).unwrap();
    fs::write(place.staging().join(".scheduler.json"), json!({"format": 1, "settled_at": at}).to_string()).unwrap();
}

#[test]
fn one_refresh_is_started_at_four_o_clock_in_winter_and_in_summer_and_on_the_day_between() {
    for before_four in ["2026-01-15 02:59:55", "2026-07-15 01:59:55", "2026-03-29 01:59:55", "2026-10-25 02:59:55"] {
        let place = Place::new();
        let Some(jobs) = at(quiet(&place), before_four) else { return };
        let running = jobs.spawn();
        logged(&place, "the refresh has ended: exit 0: done", 1);
        // A second look at the clock, which finds nothing more to do.
        running.signal("HUP");
        logged(&place, "the configuration was read again", 1);
        let log = stopped(&place, running);
        let [refresh] = started(&place).try_into().unwrap();
        assert!(refresh.starts_with("r3e-refresher full "), "{refresh}");
        assert!(!log.contains("missed"), "{log}");
        let date = &before_four[..10];
        assert!(settled(&place).starts_with(date) && settled(&place).contains(":00:00"), "{}", settled(&place));

        // Started anew a minute later, it knows of the run.
        let four = settled(&place);
        let later = format!("{date} {}:01:00", &four[11..13]);
        let Some(jobs) = at(quiet(&place), &later) else { return };
        let running = jobs.spawn();
        until("it waits", || {
            fs::read_dir(place.path("run"))
                .is_ok_and(|mut it| it.any(|it| it.unwrap().path().extension().is_some_and(|it| it == "sock")))
        });
        let _log = stopped(&place, running);
        assert_eq!((started(&place).len(), settled(&place)), (1, four));
    }
}

#[test]
fn a_run_that_was_missed_is_made_up_for_once_or_not_at_all() {
    for (catch_up, starts) in [("true", 1), ("false", 0)] {
        let place = Place::new();
        set_settled(&place, "2026-11-20T03:00:00Z");
        let jobs = quiet(&place).set("schedule.catch_up", catch_up);
        let Some(jobs) = at(jobs, "2026-11-24 09:00:00") else { return };
        let running = jobs.spawn();
        logged(&place, "a run was missed", 1);
        logged(&place, "the refresh that was missed has ended", starts);
        let log = stopped(&place, running);
        assert_eq!(started(&place).len(), starts, "{log}");
        assert!(log.contains("at=2026-11-24T03:00:00Z") && log.contains("further=3"), "{log}");
        assert_eq!(settled(&place), "2026-11-24T03:00:00Z");
    }
}

#[test]
fn a_missed_refresh_takes_the_place_of_the_load_at_the_start() {
    let place = Place::new();
    set_settled(&place, "2026-11-23T03:00:00Z");
    let jobs = with_told_jobs(&place, &[]).set("schedule.time_zone", "Europe/Berlin");
    let Some(jobs) = at(jobs, "2026-11-24 09:00:00") else { return };
    let running = jobs.spawn();
    logged(&place, "the refresh that was missed has ended", 1);
    let _log = stopped(&place, running);
    let [refresh] = started(&place).try_into().unwrap();
    assert!(refresh.starts_with("r3e-refresher full "), "a refresh does all that a load does: {refresh}");
    assert_eq!(log(&place).matches("starting a").count(), 1);
}

#[test]
fn a_time_that_is_moved_to_the_past_makes_nothing_due() {
    let place = Place::new();
    set_settled(&place, "2026-11-24T08:00:00Z");
    fs::write(place.path("scheduler.toml"), "[schedule]\ndaily_at = \"12:00\"\n").unwrap();
    let Some(jobs) = at(quiet(&place).argument("--config=scheduler.toml"), "2026-11-24 09:30:00") else { return };
    let running = jobs.spawn();
    until("it is at work", || place.staging().join(".scheduler.toml").exists());
    fs::write(place.path("scheduler.toml"), "[schedule]\ndaily_at = \"09:50\"\n").unwrap();
    // It may not listen yet to a signal that comes this early.
    until("the configuration is read again", || {
        running.signal("HUP");
        log(&place).contains("the configuration was read again")
    });
    let log = stopped(&place, running);
    assert!(!log.contains("missed") && started(&place).is_empty(), "{log}");
}

#[test]
fn a_clock_that_begins_in_1970_spoils_nothing() {
    let place = Place::new();
    set_settled(&place, "2026-11-24T03:00:00Z");
    let Some(jobs) = at(quiet(&place), "1970-01-01 00:00:10") else { return };
    let running = jobs.spawn();
    logged(&place, "far into the future", 1);
    until("it is at work", || place.staging().join(".scheduler.toml").exists());
    stopped(&place, running);
    assert_eq!(settled(&place), "2026-11-24T03:00:00Z");
}
