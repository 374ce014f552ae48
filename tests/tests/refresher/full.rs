//! `full`: fetches all boards regardless of age, and rewrites only changed ones.

use std::time::{Duration, SystemTime};

use r3e_tests::harness::{
    Differences, assert_serves, board_files, driver_index, events_at, grid, read_status, snapshot,
};
use r3e_tests::sim::{FaultKind, Faults, SimOptions, Simulator};

use super::{age_all, change, files, filled, loaded, rewritten, sized, sorted};

#[test]
fn only_changed_boards_are_rewritten() {
    let (sim, place) = loaded(20, sized(9000));
    let changed: Vec<_> = filled(&sim).into_iter().step_by(3).take(50).collect();
    assert_eq!(changed.len(), 50);
    age_all(&place, &sim);
    change(&sim, &changed);
    let (before, begun) = (files(&place, &sim), SystemTime::now() - Duration::from_mins(1));

    let ended = place.refresher(&sim.base_url(), &["full"]).run().with_code(0);
    assert_eq!(sim.stats().distinct_boards, 400, "all are asked for, whatever their age");
    let now = files(&place, &sim);
    assert_eq!(rewritten(&before, &now), sorted(changed));
    assert!(now.values().all(|(_, written)| *written > begun), "the age of all is renewed");
    let filled = filled(&sim).len() as u64;
    let counts = ["fetched", "changed", "unchanged", "empty", "kept", "failed"].map(|it| ended.boards(it));
    assert_eq!(counts, [400, 50, filled - 50, 400 - filled, 0, 0]);
    assert_eq!(ended.boards("promoted"), 50);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    let status = read_status(&place.cache());
    assert_eq!(status["generation"], ended.json()["index"]["generation"]);
    assert!(status["last_scrape_start"].as_str() < status["last_scrape_end"].as_str(), "{status}");

    let again = place.refresher(&sim.base_url(), &["full"]).run().with_code(0);
    assert_eq!((again.boards("due"), again.boards("changed")), (400, 0), "one that is over is not gone on with");
    assert_eq!(again.json()["index"]["changed"], false);
}

#[test]
fn a_board_that_cannot_be_fetched_stays_and_is_named_until_it_can() {
    let (sim, place) = loaded(6, sized(600));
    let (victim, other) = (filled(&sim)[0], filled(&sim)[1]);
    let before = snapshot(&place.cache());
    let fail = |board| Faults { always: [(board, FaultKind::InternalError)].into(), ..Faults::default() };
    let refresher = |arguments: &[&str]| place.refresher(&sim.base_url(), arguments).set("upstream.attempts", "2");
    sim.set_faults(fail(victim)).unwrap();
    let ended = refresher(&["full"]).run().with_code(3);
    assert_eq!(
        (ended.boards("failed"), ended.boards("retried"), ended.boards("unchanged")),
        (1, 1, filled(&sim).len() as u64 - 1)
    );
    let bytes = |files: &r3e_tests::harness::Snapshot| files.values().map(|it| it.0.clone()).collect::<Vec<_>>();
    assert_eq!(bytes(&snapshot(&place.cache())), bytes(&before));
    let failed = || {
        let status = read_status(&place.cache());
        let named = status["failed_fetches"].as_array().unwrap().clone();
        named
            .iter()
            .map(|it| format!("{}-{}", it["track_id"].as_str().unwrap(), it["class_id"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(failed(), [victim.to_string()]);

    // What another run says of other boards does not erase it; what a run says of this board does.
    sim.set_faults(fail(other)).unwrap();
    let _ended = refresher(&["boards", &other.to_string()]).run().with_code(3);
    assert_eq!(failed(), [other.to_string(), victim.to_string()]);
    let _ended = refresher(&["boards", &victim.to_string()]).run().with_code(0);
    assert_eq!(failed(), [other.to_string()]);
    sim.set_faults(Faults::default()).unwrap();
    let _ended = refresher(&["full"]).run().with_code(0);
    assert!(failed().is_empty());
}

#[test]
fn a_service_without_entries_costs_no_entry_and_floods_no_log() {
    let (sim, place) = loaded(8, sized(2000));
    let catalog = grid(8, 8);
    let board_sizes = catalog.combinations().map(|board| (board, 0)).collect();
    let emptied = SimOptions { catalog, entries: 0, drivers: 1, board_sizes, ..SimOptions::default() };
    let emptied = Simulator::start(emptied).unwrap();
    let before = board_files(&place.cache());
    let filled = filled(&sim).len() as u64;
    for command in [&["full"][..], &["incremental"]] {
        let ended = place.refresher(&emptied.base_url(), command).run().with_code(0);
        let counts = ["kept", "empty", "changed", "unchanged"].map(|it| ended.boards(it));
        assert_eq!(counts, [filled, 64 - filled, 0, 0]);
        assert_eq!(events_at(&ended.stderr, "WARN").len(), 1, "one event for all: {}", ended.stderr);
        let entries = |files: &std::collections::BTreeMap<_, r3e_tests::harness::BoardFile>| {
            files.values().map(|it| it.entries.clone()).collect::<Vec<_>>()
        };
        assert!(entries(&board_files(&place.cache())) == entries(&before));
        assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    }
}
