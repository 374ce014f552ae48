//! Which jobs are started when, what becomes of those that fail, and what is told of it.

use std::fs;

use r3e_tests::harness::{Place, until};

use crate::place::{log, logged, nothing_left, scheduler, started, stopped, trigger, with_told_jobs};

#[test]
fn the_loader_runs_at_the_start_and_its_output_has_its_name() {
    let place = Place::new();
    let running = with_told_jobs(&place, &[]).argument("--verbose").spawn();
    logged(&place, "job ended job=load result=exit 0: done", 1);
    let pid = running.pid();
    let log = stopped(&place, running);
    let [load] = started(&place).try_into().unwrap();
    let expected = format!(
        "r3e-loader --wait=15000ms --parent={pid} --config=cache_temp/.scheduler.toml --cache=cache --staging=cache_temp --verbose"
    );
    assert_eq!(load, expected);
    let line = log.lines().find(|line| line.contains("a word of number 1")).unwrap();
    assert!(line.starts_with("r3e-loader["), "{line}");
    assert!(log.contains("jobs of this run started=1 failed=0"), "{log}");
}

#[test]
fn a_log_of_json_stays_one() {
    let place = Place::new();
    let running = with_told_jobs(&place, &[]).argument("--log-format=json").spawn();
    logged(&place, "job ended job=load", 1);
    running.signal("TERM");
    let _ended = running.wait().with_code(0);
    let log = log(&place);
    let events: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_job = events.iter().find(|event| event["job"] == "r3e-loader").unwrap();
    assert_eq!(of_job["line"], "a word of number 1");
    assert!(started(&place)[0].contains(" --json "), "{:?}", started(&place));
}

#[test]
fn what_fails_is_tried_again_until_it_succeeds_and_what_waiting_may_not_mend_as_often_as_said() {
    let place = Place::new();
    let told = ["69", "1", "75", "74", "killed", "101", "143", "1", "78", "2", "130", "3"];
    let running = with_told_jobs(&place, &told).set("schedule.attempts", "3").spawn();
    logged(&place, "giving up on the job job=load attempts=8", 1);
    trigger(&place, "1693");
    logged(&place, "retrying the job when the configuration is reloaded", 1);
    running.signal("HUP");
    logged(&place, "not retrying the job: it would fail the same way", 1);
    trigger(&place, "1693");
    logged(&place, "exit 3: done, but some boards failed", 1);
    let log = stopped(&place, running);
    let programs: Vec<String> = started(&place).iter().map(|it| it.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(programs, [["r3e-loader"; 8].as_slice(), &["r3e-refresher"; 4]].concat());
    for part in
        ["exit 69: the service is unavailable", "exit 75: another writer", "killed by signal 9 (SIGKILL)", "exit 78"]
    {
        assert!(log.contains(part), "{part:?} in {log}");
    }
    assert!(log.contains("started=12 failed=11"), "{log}");
}

#[test]
fn a_job_that_takes_too_long_is_stopped_and_one_that_will_not_is_killed() {
    let place = Place::new();
    let jobs = with_told_jobs(&place, &["patient", "deaf", "0"]);
    let running = jobs.set("schedule.job_timeout", "2s").set("runtime.stop_grace", "2s").spawn();
    logged(&place, "job ended job=load result=exit 0: done", 1);
    let log = stopped(&place, running);
    assert_eq!(log.matches("the job takes too long; stopping it").count(), 2, "{log}");
    assert_eq!(log.matches("has not stopped in time: it is killed").count(), 1, "{log}");
}

#[test]
fn programs_that_are_not_there_are_told_and_tried_again() {
    let place = Place::new();
    let running = scheduler(&place).argument("--programs=nowhere").set("schedule.attempts", "2").spawn();
    logged(&place, "giving up on the job job=load attempts=2", 1);
    let log = stopped(&place, running);
    assert_eq!(log.matches("cannot start a load").count(), 2, "{log}");
}

#[test]
fn a_changed_configuration_is_taken_over_and_a_wrong_one_is_not() {
    let place = Place::new();
    fs::write(place.path("scheduler.toml"), "[schedule]\ndaily_at = \"04:00\"\nload_at_start = false\n").unwrap();
    let running = with_told_jobs(&place, &[]).argument("--config=scheduler.toml").spawn();
    let next_run = || {
        let monitor = r3e_tests::harness::Invocation::new("r3e-monitor", &place.path(""));
        let monitor = monitor.set("runtime.dir", &place.path("run").to_string_lossy());
        let listed = monitor.arguments(&["--json", "list"]).run().with_code(0).json();
        listed[0]["schedule"]["next_run_at"].as_str().unwrap_or_default().to_owned()
    };
    until("it is at work", || next_run().contains("T04:00:00Z"));
    fs::write(place.path("scheduler.toml"), "[schedule]\ndaily_at = \"4\"\nload_at_start = false\n").unwrap();
    running.signal("HUP");
    logged(&place, "cannot reload the configuration", 1);
    assert!(log(&place).contains("scheduler.toml:2: schedule.daily_at"), "{}", log(&place));
    assert!(next_run().contains("T04:00:00Z"), "{}", next_run());
    let text = "[schedule]\ndaily_at = \"05:30\"\nload_at_start = false\n[cache]\ndir = \"elsewhere\"\n";
    fs::write(place.path("scheduler.toml"), text).unwrap();
    running.signal("HUP");
    logged(&place, "configuration reloaded", 1);
    // Jobs go by what is in force, also while the file is wrong.
    let in_force = fs::read_to_string(place.staging().join(".scheduler.toml")).unwrap();
    assert!(in_force.contains("daily_at = \"05:30\""), "{in_force}");
    until("it waits for the new time", || next_run().contains("T05:30:00Z"));
    let log = stopped(&place, running);
    let next = log.lines().find(|line| line.contains("configuration reloaded")).unwrap();
    assert!(next.contains("T05:30:00Z"), "{next}");
    assert!(log.contains("cache.dir, cache.staging_dir: changed, which takes effect when"), "{log}");
}

#[test]
fn there_is_one_scheduler_for_a_cache() {
    let place = Place::new();
    let running = with_told_jobs(&place, &[]).spawn();
    logged(&place, "job ended job=load", 1);
    let _second = with_told_jobs(&place, &[]).stderr_to(place.path("second")).run().with_code(75);
    let said = fs::read_to_string(place.path("second")).unwrap();
    assert!(said.contains("another scheduler is at work on cache_temp"), "{said}");
    stopped(&place, running);
    assert_eq!(started(&place).len(), 1);
}

#[test]
fn wrong_use_is_refused() {
    let place = Place::new();
    let plain = |arguments: &[&str]| {
        let bare = r3e_tests::harness::Invocation::new("r3e-scheduler", &place.path(""));
        bare.arguments(arguments).set("runtime.dir", "run").run()
    };
    for (arguments, part) in [
        (&["--json"][..], "--json"),
        (&["next", "--programs", "x"], "--programs"),
        (&["--notify-fd", "77"], "--notify-fd 77: there is no such descriptor"),
        (&["run"], "run"),
    ] {
        let ended = plain(arguments).with_code(2);
        assert!(ended.stderr.contains(part), "{arguments:?}: {}", ended.stderr);
    }
    assert!(plain(&["--cache", ""]).with_code(78).stderr.contains("cache.dir"));
    let file = place.path("file");
    fs::write(&file, "").unwrap();
    let ended = plain(&["--cache", "file", "--staging", "s"]).with_code(74);
    assert!(ended.stderr.contains("file"), "{}", ended.stderr);
    fs::create_dir_all(place.staging()).unwrap();
    fs::write(place.staging().join(".scheduler.json"), "{\"format\":9,\"settled_at\":\"x\"}").unwrap();
    let ended = plain(&[]).with_code(78);
    assert!(ended.stderr.contains(".scheduler.json"), "{}", ended.stderr);
    nothing_left(&place);
}
