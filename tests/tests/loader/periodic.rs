//! The periodic index during a run, and the log lines at its end that operators rely on.

use std::time::Duration;

use r3e_tests::harness::{Differences, assert_serves, driver_index, events_at, read_status, simulated, until};
use r3e_tests::sim::SimOptions;

#[test]
fn the_index_grows_while_boards_are_fetched_and_the_last_lines_are_logged_once() {
    let latency = Duration::from_millis(20);
    let (sim, place) = simulated(12, 12, SimOptions { entries: 3000, drivers: 500, latency, ..SimOptions::default() });
    let loader = place.loader(&sim.base_url()).set("index.every", "200ms");
    sim.answer_only(72);
    let mut running = loader.spawn();
    let mut drivers = 0;
    until("the index has drivers", || {
        assert!(!running.has_ended(), "the first index with drivers came at the end of the run");
        if place.cache().join("driver_index.json.gz").exists() {
            drivers = driver_index(&place.cache()).0.len();
        }
        drivers > 0
    });
    assert_eq!(read_status(&place.cache())["fetch_in_progress"], true);
    let asked = sim.stats().distinct_boards;
    assert!(asked < 144, "boards are still being fetched: {asked}");
    sim.answer_all();
    let ended = running.wait().with_code(0);
    assert!(driver_index(&place.cache()).0.len() > drivers);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());

    for line in ["⏹️ Periodic indexing task exiting", "⏹️ Memory monitoring stopped"] {
        assert_eq!(ended.stderr.matches(line).count(), 1, "{line} in {}", ended.stderr);
    }
    let exports = ended.events_with(&["boards", "drivers", "entries", "changed"]);
    assert!(exports.len() >= 3, "at first, meanwhile, at last: {}", ended.stderr);
    assert!(events_at(&ended.stderr, "ERROR").is_empty(), "{}", ended.stderr);
}

#[test]
fn memory_is_purged_periodically_with_the_log_line_of_the_older_program() {
    let latency = Duration::from_millis(20);
    let (sim, place) = simulated(6, 6, SimOptions { entries: 300, drivers: 50, latency, ..SimOptions::default() });
    sim.answer_only(10);
    let log = place.path("log");
    let running = place.loader(&sim.base_url()).set("memory.purge_every", "20ms").stderr_to(log.clone()).spawn();
    until("it purges", || std::fs::read_to_string(&log).unwrap().contains("💾 Periodic GC: Alloc="));
    sim.answer_all();
    let _ended = running.wait().with_code(0);
}
