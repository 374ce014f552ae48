//! A scheduler that is killed leaves no second writer behind.

use std::fs;
use std::time::Duration;

use r3e_tests::harness::{board_files, events_with, simulated, until};
use r3e_tests::sim::SimOptions;

use crate::place::{Logged, logged, scheduler, stopped, trigger, working_in};

#[test]
fn the_job_of_a_killed_scheduler_stops_and_the_next_one_resumes() {
    let latency = Duration::from_millis(20);
    let (sim, place) = simulated(10, 12, SimOptions { entries: 2000, drivers: 500, latency, ..SimOptions::default() });
    sim.answer_only(60);
    let jobs = || {
        scheduler(&place)
            .set("catalog.path", "catalog.toml")
            .set("upstream.base_url", &sim.base_url())
            .set("upstream.requests_per_second", "100000")
    };
    let running = jobs().spawn();
    until("boards are staged", || board_files(&place.staging()).len() >= 20);
    let _killed = running.kill();
    until("its loader is gone", || working_in(&place.path("")).is_empty());
    // What it logged went to the scheduler, which is gone; but it has left its record.
    let record = fs::read_dir(place.path("run/runs")).unwrap().next().unwrap().unwrap().path();
    let record = fs::read_to_string(record).unwrap();
    assert!(record.contains("\"outcome\": \"stopped\"") && record.contains("\"exit_code\": 143"), "{record}");
    let staged = board_files(&place.staging()).len();
    assert!((20..120).contains(&staged), "{staged} boards are staged");

    sim.set_latency(Duration::ZERO);
    sim.answer_all();
    let running = jobs().spawn();
    logged(&place, Logged::Done, 1);
    let log = stopped(&place, running);
    assert!(!exits_75(&log), "{log}");
    assert_eq!(board_files(&place.cache()).len(), 120);

    // At once anew after a kill, while the old loader may still be stopping.
    sim.set_latency(Duration::from_millis(20));
    trigger(&place, "");
    let running = jobs().set("schedule.load_at_start", "false").spawn();
    logged(&place, Logged::Started, 1);
    let _killed = running.kill();
    let again = jobs().set("schedule.load_at_start", "false").spawn();
    logged(&place, Logged::Done, 1);
    let log = stopped(&place, again);
    assert!(!exits_75(&log), "{log}");
}

/// Whether a job found another writer.
fn exits_75(log: &str) -> bool {
    events_with(log, &["pid", "seconds", "attempt"]).iter().any(|it| it.names("75"))
}
