//! Which jobs are started when, what happens if they fail, and what is logged and reported about it.

use std::fs;

use r3e_tests::harness::{Event, Place, events_at, names, until};

use crate::place::{
    Logged, log, logged, nothing_left, scheduler, started, stopped, totals, trigger, trigger_is_over, with_told_jobs,
};

#[test]
fn the_loader_runs_at_the_start_and_its_output_has_its_name() {
    let place = Place::new();
    let running = with_told_jobs(&place, &[]).arguments(&["--verbose", "--log-format=text"]).spawn();
    until("the loader has logged", || log(&place).contains("a word of number 1"));
    let pid = running.pid();
    running.signal("TERM");
    let _ended = running.wait().with_code(0);
    let log = log(&place);
    let [load] = started(&place).try_into().unwrap();
    let expected = format!(
        "r3e-loader --wait=15000ms --parent={pid} --config=cache_temp/.scheduler.toml --cache=cache --staging=cache_temp --log-format=text --verbose"
    );
    assert_eq!(load, expected);
    let line = log.lines().find(|line| line.contains("a word of number 1")).unwrap();
    assert!(line.starts_with("r3e-loader["), "{line}");
}

#[test]
fn the_log_stays_json() {
    let place = Place::new();
    let running = with_told_jobs(&place, &[]).spawn();
    logged(&place, Logged::Done, 1);
    running.signal("TERM");
    let _ended = running.wait().with_code(0);
    let log = log(&place);
    let events: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_job = events.iter().find(|event| event["job"] == "r3e-loader").unwrap();
    assert_eq!(of_job["line"], "a word of number 1");
    assert!(started(&place)[0].contains(" --json "), "{:?}", started(&place));
}

#[test]
fn transient_failures_are_retried_until_success_and_faults_up_to_the_limit() {
    let place = Place::new();
    let told = ["69", "1", "75", "74", "killed", "101", "143", "1", "78", "2", "130", "3"];
    let running = with_told_jobs(&place, &told).set("schedule.attempts", "3").spawn();
    logged(&place, Logged::GivenUp, 1);
    trigger(&place, "1693");
    logged(&place, Logged::WaitsForReload, 1);
    running.signal("HUP");
    trigger_is_over(&place);
    trigger(&place, "1693");
    logged(&place, Logged::Done, 1);
    let log = stopped(&place, running);
    let programs: Vec<String> = started(&place).iter().map(|it| it.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(programs, [["r3e-loader"; 8].as_slice(), &["r3e-refresher"; 4]].concat());
    let [given_up] = Logged::GivenUp.events(&place).try_into().unwrap();
    assert_eq!(*given_up.field("attempts"), 8);
    let failed = Logged::Failed.events(&place);
    for part in ["69", "75", "SIGKILL", "78"] {
        assert!(failed.iter().any(|it| it.names(part)), "{part:?} in {log}");
    }
    assert_eq!(totals(&log), [12, 11]);
}

#[test]
fn a_job_that_takes_too_long_is_stopped_or_killed() {
    let place = Place::new();
    let jobs = with_told_jobs(&place, &["patient", "deaf", "0"]);
    let running = jobs.set("schedule.job_timeout", "5s").set("runtime.stop_grace", "2s").spawn();
    logged(&place, Logged::Done, 1);
    let log = stopped(&place, running);
    assert_eq!(Logged::TimedOut.events(&place).len(), 2, "{log}");
    let failed = Logged::Failed.events(&place);
    assert!(failed[0].names("143") && failed[1].names("SIGKILL"), "{failed:?}");
}

#[test]
fn missing_programs_are_reported_and_retried() {
    let place = Place::new();
    let running = scheduler(&place).argument("--programs=nowhere").set("schedule.attempts", "2").spawn();
    logged(&place, Logged::GivenUp, 1);
    let log = stopped(&place, running);
    assert_eq!(Logged::NotStarted.events(&place).len(), 2, "{log}");
}

#[test]
fn a_changed_configuration_is_reloaded_and_an_invalid_one_ignored() {
    let place = Place::new();
    fs::write(place.path("scheduler.toml"), "[schedule]\ndaily_at = \"04:00\"\nload_at_start = false\n").unwrap();
    let running =
        with_told_jobs(&place, &[]).set("schedule.time_zone", "UTC").argument("--config=scheduler.toml").spawn();
    let next_run = || {
        let monitor = r3e_tests::harness::Invocation::new("r3e-monitor", &place.path(""));
        let monitor = monitor.set("runtime.dir", &place.path("run").to_string_lossy());
        let listed = monitor.arguments(&["--json", "list"]).run().with_code(0).json();
        listed[0]["schedule"]["next_run_at"].as_str().unwrap_or_default().to_owned()
    };
    until("it is at work", || next_run().contains("T04:00:00Z"));
    fs::write(place.path("scheduler.toml"), "[schedule]\ndaily_at = \"4\"\nload_at_start = false\n").unwrap();
    running.signal("HUP");
    until("the error is logged", || names(&log(&place), "scheduler.toml:2: schedule.daily_at"));
    assert!(next_run().contains("T04:00:00Z"), "{}", next_run());
    let text = "[schedule]\ndaily_at = \"05:30\"\nload_at_start = false\n[cache]\ndir = \"elsewhere\"\n";
    fs::write(place.path("scheduler.toml"), text).unwrap();
    running.signal("HUP");
    logged(&place, Logged::Reloaded, 1);
    // Jobs go by what is in force, also while the file is wrong.
    let in_force = fs::read_to_string(place.staging().join(".scheduler.toml")).unwrap();
    assert!(in_force.contains("daily_at = \"05:30\""), "{in_force}");
    until("it waits for the new time", || next_run().contains("T05:30:00Z"));
    let log = stopped(&place, running);
    assert!(Logged::Reloaded.events(&place)[0].names("T05:30:00Z"), "{log}");
    let stays = |it: &Event| it.names("cache.dir") && it.names("cache.staging_dir");
    assert!(events_at(&log, "WARN").iter().any(stays), "{log}");
}

#[test]
fn there_is_one_scheduler_for_a_cache() {
    let place = Place::new();
    let running = with_told_jobs(&place, &[]).spawn();
    logged(&place, Logged::Done, 1);
    let _second = with_told_jobs(&place, &[]).stderr_to(place.path("second")).run().with_code(75);
    let said = fs::read_to_string(place.path("second")).unwrap();
    assert!(said.contains("cache_temp"), "{said}");
    stopped(&place, running);
    assert_eq!(started(&place).len(), 1);
}

#[test]
fn invalid_use_is_refused() {
    let place = Place::new();
    let plain = |arguments: &[&str]| {
        let bare = r3e_tests::harness::Invocation::new("r3e-scheduler", &place.path(""));
        bare.arguments(arguments).set("runtime.dir", "run").run()
    };
    for (arguments, part) in [
        (&["--json"][..], "--json"),
        (&["next", "--programs", "x"], "--programs"),
        (&["--notify-fd", "77"], "--notify-fd 77"),
        (&["run"], "run"),
    ] {
        let _ended = plain(arguments).with_code(2).naming(&[part]);
    }
    let _ended = plain(&["--cache", ""]).with_code(78).naming(&["cache.dir"]);
    let file = place.path("file");
    fs::write(&file, "").unwrap();
    let _ended = plain(&["--cache", "file", "--staging", "s"]).with_code(74).naming(&["file"]);
    fs::create_dir_all(place.staging()).unwrap();
    fs::write(place.staging().join(".scheduler.json"), "{\"format\":9,\"settled_at\":\"x\"}").unwrap();
    let _ended = plain(&[]).with_code(78).naming(&[".scheduler.json"]);
    nothing_left(&place);
}
