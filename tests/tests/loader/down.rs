//! A service that is down, goes down, or asks clients to wait.

use std::time::Duration;

use r3e_tests::harness::{
    Differences, Place, age, assert_serves, board_file, board_files, driver_index, read_status, simulated, snapshot,
    until,
};
use r3e_tests::sim::{FaultKind, Faults, SimOptions, Simulator};

fn world(latency: Duration) -> (Simulator, Place) {
    simulated(12, 12, SimOptions { entries: 2000, drivers: 300, latency, ..SimOptions::default() })
}

#[test]
fn boards_and_exports_keep_their_bytes_and_times() {
    let (sim, place) = world(Duration::ZERO);
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    for board in sim.world().catalog().combinations().step_by(3) {
        age(&board_file(&place.cache(), board), Duration::from_hours(30));
    }
    let before = snapshot(&place.cache());
    let page = |kind| Faults::only(kind, 1.0);
    for faults in [None, Some(page(FaultKind::Maintenance)), Some(page(FaultKind::Unavailable))] {
        match &faults {
            None => sim.go_down().unwrap(),
            Some(faults) => {
                let retry_after = Duration::from_hours(1);
                sim.set_faults(Faults { retry_after, ..faults.clone() }).unwrap();
                sim.come_up().unwrap();
            }
        }
        sim.reset_stats();
        let run = place.loader(&sim.base_url()).set("upstream.attempts", "2").run();
        let ended = run.with_code(69);
        assert_eq!(snapshot(&place.cache()), before, "{faults:?}");
        assert!(ended.boards("fetched") == 0 && ended.boards("with_entries") > 0, "{}", ended.stdout);
        assert_eq!(ended.json()["outcome"], "unavailable");
        assert!(ended.json()["reason"].as_str().is_some_and(|it| !it.is_empty()));
        assert!(sim.stats().requests <= 16, "it is not asked for every board: {:?}", sim.stats());
        let status = read_status(&place.cache());
        assert_eq!((&status["fetch_in_progress"], &status["total_fetched_combinations"]), (&false.into(), &144.into()));
    }
}

#[test]
fn boards_that_arrived_before_an_outage_are_published() {
    let (sim, place) = world(Duration::from_millis(5));
    // A service that has answered is given seconds to come back, so the tries of a board have to last longer than that.
    let patient = place.loader(&sim.base_url()).set("upstream.attempts", "20").set("upstream.backoff_max", "2s");
    sim.answer_only(72);
    let running = patient.set("upstream.backoff_min", "500ms").spawn();
    // Some of the boards are asked for twice: see `upstream::LastPage`.
    until("some of the boards are asked for", || sim.stats().listing_requests >= 72);
    sim.go_down().unwrap();
    let ended = running.wait().with_code(69);

    let cached = board_files(&place.cache());
    assert!(cached.len() >= 32 && cached.len() < 144, "{} boards", cached.len());
    assert!(board_files(&place.staging()).is_empty(), "all of them are promoted");
    assert_eq!((ended.boards("fetched"), ended.boards("cached")), (cached.len() as u64, cached.len() as u64));
    let missing = sim.world().catalog().combinations().filter(|it| !cached.contains_key(it)).collect();
    let differences = Differences { missing };
    assert_serves(&driver_index(&place.cache()), sim.world(), &differences);

    sim.answer_all();
    sim.come_up().unwrap();
    sim.reset_stats();
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    assert_eq!(sim.stats().distinct_boards, 144 - cached.len() as u64, "the next run goes on from there");
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn with_nothing_cached_there_is_an_empty_index_and_the_reason() {
    let (sim, place) = world(Duration::ZERO);
    sim.go_down().unwrap();
    let ended = place.loader(&sim.base_url()).run().with_code(69);
    assert!(ended.json()["reason"].as_str().unwrap().contains(&sim.addr().to_string()), "{}", ended.stdout);
    assert_eq!(driver_index(&place.cache()).0.len(), 0);
    assert_eq!(read_status(&place.cache())["last_scrape_end"], "0001-01-01T00:00:00Z");
}

#[test]
fn a_service_that_grants_sessions_but_no_pages_is_down() {
    let (sim, place) = simulated(
        12,
        12,
        SimOptions { entries: 2000, drivers: 300, session_requests: Some(0), ..SimOptions::default() },
    );
    let ended = place.loader(&sim.base_url()).run().with_code(69);
    assert!(ended.json()["reason"].as_str().unwrap().contains("401"), "{}", ended.stdout);
    assert!(sim.stats().requests <= 24, "{:?}", sim.stats());
}
