//! The real program across 04:00, with its time shifted by libfaketime: what it does in a year is tested on its timetable.

use std::fs;
use std::time::{Duration, Instant};

use r3e_tests::harness::{Invocation, Place, events_with, until};
use serde_json::{Value, json};

use crate::place::{
    Logged, job_said, log, logged, started, stopped, trigger, trigger_is_over, with_told_jobs, working_in,
};

/// Begins at that time of UTC, from which its time goes on; none, which is recorded, where there is no libfaketime.
#[track_caller]
pub(crate) fn at(scheduler: Invocation, time: &str) -> Option<Invocation> {
    let library = r3e_needs::program("/usr/lib/*/faketime/libfaketime.so.1")?;
    let shifted =
        scheduler.variable("LD_PRELOAD", &library.to_string_lossy()).variable("FAKETIME", &format!("@{time}"));
    Some(shifted.variable("FAKETIME_DONT_FAKE_MONOTONIC", "1").variable("TZ", "UTC"))
}

fn in_utc(place: &Place, told: &[&str]) -> Invocation {
    with_told_jobs(place, told).set("schedule.time_zone", "UTC")
}

fn quiet(place: &Place) -> Invocation {
    with_told_jobs(place, &[]).set("schedule.load_at_start", "false").set("schedule.time_zone", "Europe/Berlin")
}

/// What the scheduler remembers.
fn remembered(place: &Place) -> Value {
    let text = fs::read_to_string(place.staging().join(".scheduler.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What is settled, as the scheduler keeps it.
fn settled(place: &Place) -> String {
    remembered(place)["settled_at"].as_str().unwrap().to_owned()
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
        logged(&place, Logged::Done, 1);
        // A second look at the clock, which finds nothing more to do.
        running.signal("HUP");
        logged(&place, Logged::Reloaded, 1);
        let log = stopped(&place, running);
        let [refresh] = started(&place).try_into().unwrap();
        assert!(refresh.starts_with("r3e-refresher full "), "{refresh}");
        assert!(Logged::Missed.events(&place).is_empty(), "{log}");
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

/// Which jobs were started, by their program and first argument.
fn jobs(place: &Place) -> Vec<String> {
    let two = |line: String| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    started(place).into_iter().map(two).map(|it| it.split(" --").next().unwrap().to_owned()).collect()
}

#[test]
fn a_due_refresh_waits_for_a_running_load_or_trigger() {
    for load in [true, false] {
        let place = Place::new();
        let scheduler = in_utc(&place, &["held"]).set("schedule.load_at_start", &load.to_string());
        if !load {
            trigger(&place, "1693");
        }
        let Some(scheduler) = at(scheduler, "2026-11-24 03:59:48") else { return };
        let running = scheduler.spawn();
        logged(&place, Logged::DueAtWork, 1);
        until("it is remembered", || remembered(&place)["pending"]["due_at"] == "2026-11-24T04:00:00Z");
        let next = Invocation::new("r3e-scheduler", &place.path("")).arguments(&["next", "--json"]).run().with_code(0);
        assert_eq!(next.json()[0]["waiting"]["attempt"], 1, "{}", next.stdout);
        fs::write(place.path("go"), "").unwrap();
        logged(&place, Logged::Done, 1);
        until("it is over", || remembered(&place)["pending"].is_null());
        stopped(&place, running);
        assert_eq!(jobs(&place), [if load { "r3e-loader" } else { "r3e-refresher boards" }, "r3e-refresher full"]);
        assert_eq!(settled(&place), "2026-11-24T04:00:00Z");
    }
}

#[test]
fn a_running_full_refresh_covers_a_due_one_and_is_retried_if_it_fails() {
    let place = Place::new();
    trigger(&place, "");
    let scheduler = in_utc(&place, &["held69", "0"]).set("schedule.load_at_start", "false");
    let Some(scheduler) = at(scheduler, "2026-11-24 03:59:48") else { return };
    let running = scheduler.spawn();
    logged(&place, Logged::DueAtWork, 1);
    fs::write(place.path("go"), "").unwrap();
    logged(&place, Logged::Done, 1);
    until("the due one is over", || remembered(&place)["pending"].is_null());
    trigger_is_over(&place);
    stopped(&place, running);
    assert_eq!(jobs(&place), ["r3e-refresher full", "r3e-refresher full"]);
}

#[test]
fn a_pending_refresh_survives_a_killed_scheduler_and_runs_once() {
    let place = Place::new();
    let scheduler = || in_utc(&place, &["held", "held", "0"]).set("schedule.catch_up", "false");
    let Some(first) = at(scheduler(), "2026-11-24 03:59:48") else { return };
    let running = first.spawn();
    logged(&place, Logged::DueAtWork, 1);
    until("it is remembered", || remembered(&place)["pending"].is_object());
    let _killed = running.kill();
    fs::write(place.path("go"), "").unwrap();
    until("its job is gone", || working_in(&place.path("")).is_empty());
    fs::remove_file(place.path("go")).unwrap();

    let running = at(scheduler(), "2026-11-24 04:10:00").unwrap().spawn();
    logged(&place, Logged::Resumed, 1);
    job_said(&place, 2);
    let _killed = running.kill();
    fs::write(place.path("go"), "").unwrap();
    until("its job is gone", || working_in(&place.path("")).is_empty());

    let running = at(scheduler(), "2026-11-24 04:20:00").unwrap().spawn();
    logged(&place, Logged::Done, 1);
    until("it is over", || remembered(&place)["pending"].is_null());
    stopped(&place, running);
    assert_eq!(jobs(&place), ["r3e-loader", "r3e-refresher full", "r3e-refresher full"]);

    let scheduler = scheduler().set("schedule.load_at_start", "false");
    let running = at(scheduler, "2026-11-24 04:30:00").unwrap().spawn();
    let socket = place.path(&format!("run/r3e-scheduler-{}.sock", running.pid()));
    until("it is at work", || socket.exists());
    let log = stopped(&place, running);
    assert!(jobs(&place).len() == 3 && Logged::Resumed.events(&place).is_empty(), "{log}");
}

/// A minute takes half a second there. Only the scheduler lives in that time: its timers and its log. A thread that waits on a futex until
/// a time of that clock waits for the kernel's clock to get there, so nothing must purge.
#[test]
fn a_service_that_is_down_from_ten_minutes_before_four_does_not_cost_the_night() {
    let place = Place::new();
    let bare = Invocation::new("r3e-scheduler", &place.path(""))
        .set("runtime.dir", &place.path("run").to_string_lossy())
        .set("log.format", "json")
        .stderr_to(place.path("log"));
    let told = ["up"; 12];
    let _written = with_told_jobs(&place, &told);
    let scheduler = bare
        .argument("--programs")
        .argument(place.path("programs"))
        .set("schedule.load_at_start", "false")
        .set("memory.purge_every", "24h");
    // Five seconds of ours, in which it has to be at work.
    let Some(scheduler) = at(scheduler, "2026-11-24 03:50:00 x120") else { return };
    let running = scheduler.variable("FAKETIME_DONT_FAKE_MONOTONIC", "0").spawn();
    logged(&place, Logged::Failed, 1);
    // Four has passed there, so that the service is down until 04:20 at least, whatever the scheduler does meanwhile.
    let begun = Instant::now();
    until("the service is back", || begun.elapsed() * 120 >= Duration::from_mins(20));
    fs::write(place.path("up"), "").unwrap();
    logged(&place, Logged::Done, 1);
    let done = Logged::Done.events(&place)[0].timestamp.clone();
    assert!(("2026-11-24T04:20:00".."2026-11-24T05:00:00").contains(&done.as_str()), "{done}: {}", log(&place));
    stopped(&place, running);
    let log = log(&place);
    // 1, 2, 4, 8, 16 and 30 minutes, each from half of it on.
    assert!((4..=8).contains(&jobs(&place).len()), "{log}");
}

#[test]
fn a_missed_run_is_caught_up_once_or_not_at_all() {
    for (catch_up, starts) in [("true", 1), ("false", 0)] {
        let place = Place::new();
        set_settled(&place, "2026-11-20T03:00:00Z");
        let jobs = quiet(&place).set("schedule.catch_up", catch_up);
        let Some(jobs) = at(jobs, "2026-11-24 09:00:00") else { return };
        let running = jobs.spawn();
        logged(&place, Logged::Missed, 1);
        logged(&place, Logged::Done, starts);
        let log = stopped(&place, running);
        assert_eq!(started(&place).len(), starts, "{log}");
        let missed = &Logged::Missed.events(&place)[0];
        assert_eq!((missed.field("at"), missed.field("further")), (&"2026-11-24T03:00:00Z".into(), &3.into()));
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
    logged(&place, Logged::Done, 1);
    let _log = stopped(&place, running);
    let [refresh] = started(&place).try_into().unwrap();
    assert!(refresh.starts_with("r3e-refresher full "), "a refresh does all that a load does: {refresh}");
    assert_eq!(Logged::Started.events(&place).len(), 1);
}

#[test]
fn moving_a_time_into_the_past_makes_nothing_due() {
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
        !Logged::Reloaded.events(&place).is_empty()
    });
    let log = stopped(&place, running);
    assert!(Logged::Missed.events(&place).is_empty() && started(&place).is_empty(), "{log}");
}

#[test]
fn a_clock_that_starts_in_1970_does_no_harm() {
    let place = Place::new();
    set_settled(&place, "2026-11-24T03:00:00Z");
    let Some(jobs) = at(quiet(&place), "1970-01-01 00:00:10") else { return };
    let running = jobs.spawn();
    until("it is logged", || !events_with(&log(&place), &["settled", "now"]).is_empty());
    until("it is at work", || place.staging().join(".scheduler.toml").exists());
    stopped(&place, running);
    assert_eq!(settled(&place), "2026-11-24T03:00:00Z");
}
