//! A service where a third of all responses have a fault, with faults of every kind.

use std::collections::BTreeSet;
use std::time::Duration;

use r3e_common::domain::{Catalog, Combination};
use r3e_tests::harness::{
    Differences, Ended, Invocation, Place, assert_serves, board_files, driver_index, grid, read_status,
};
use r3e_tests::sim::{FaultKind, Faults, SimOptions, Simulator};
use serde_json::Value;

/// Impatient with bodies too: they drip and explode here. Pages are small, so that many boards have several.
fn loader(place: &Place, sim: &Simulator) -> Invocation {
    place
        .loader(&sim.base_url())
        .set("upstream.timeout", "1s")
        .set("upstream.max_body_mb", "4")
        .set("upstream.page_size", "50")
}

fn world(catalog: &Catalog, faults: Faults) -> Simulator {
    let entries = 30_000;
    let options = SimOptions { catalog: catalog.clone(), entries, drivers: 4000, faults, ..SimOptions::default() };
    Simulator::start(options).unwrap()
}

/// All kinds at 30 %, without a pause where one is asked for.
fn third() -> Faults {
    Faults { retry_after: Duration::ZERO, ..Faults::all(0.3) }
}

/// The boards that a list of failed fetches names, each once and with a reason.
fn named(failed: &Value) -> BTreeSet<Combination> {
    let failed = failed.as_array().unwrap();
    let boards: BTreeSet<Combination> = failed
        .iter()
        .map(|it| {
            assert!(
                !it["error"].as_str().unwrap().is_empty() && !it["track_name"].as_str().unwrap().is_empty(),
                "{it}"
            );
            assert!(it["timestamp"].as_str().unwrap().ends_with('Z'), "{it}");
            format!("{}-{}", it["track_id"].as_str().unwrap(), it["class_id"].as_str().unwrap()).parse().unwrap()
        })
        .collect();
    assert_eq!(boards.len(), failed.len(), "each once: {failed:?}");
    boards
}

/// What has failed by the result, by `status.json`, and by what is missing in the cache; all have to agree.
fn failed(place: &Place, catalog: &Catalog, ended: &Ended) -> BTreeSet<Combination> {
    let boards = named(&ended.json()["failed"]);
    let status = read_status(&place.cache());
    assert_eq!(named(&status["failed_fetches"]), boards);
    assert_eq!((&status["failed_fetch_count"], ended.boards("failed")), (&boards.len().into(), boards.len() as u64));
    let cached = board_files(&place.cache());
    let missing: BTreeSet<_> = catalog.combinations().filter(|board| !cached.contains_key(board)).collect();
    assert_eq!(boards, missing, "what failed is what is missing");
    assert_eq!(ended.boards("fetched") + ended.boards("failed"), catalog.len() as u64);
    boards
}

#[test]
fn no_entry_is_lost_or_duplicated_and_every_failed_board_is_named() {
    let catalog = grid(40, 40);
    let mut faults = third();
    // Some boards never answer well.
    let kinds = [FaultKind::InternalError, FaultKind::Maintenance, FaultKind::WrongType, FaultKind::CutChunked];
    let lasting: BTreeSet<_> = catalog.combinations().step_by(173).collect();
    faults.always = lasting.iter().copied().zip(kinds.into_iter().cycle()).collect();
    let (sim, place) = (world(&catalog, faults), Place::with_catalog(&catalog));
    let ended = loader(&place, &sim).run().with_code(3);

    let missing = failed(&place, &catalog, &ended);
    assert!(missing.is_superset(&lasting), "{missing:?}");
    let index = driver_index(&place.cache());
    assert_serves(&index, sim.world(), &Differences { missing });
    let stats = sim.stats();
    let common: Vec<_> = FaultKind::ALL.iter().filter(|kind| kind.is_common()).collect();
    assert!(stats.faults.keys().eq(common), "every kind struck: {:?}", stats.faults);
    // A connection that is given up in the middle of an answer is closed a moment later, when the next request may have
    // been sent on another.
    assert!(stats.connections_open_peak <= 8 && stats.in_flight_peak <= 8, "{stats:?}");
    assert!(ended.boards("retried") >= ended.boards("failed"));
    assert_eq!(read_status(&place.cache())["retried_fetch_count"], ended.boards("retried"));

    // A service that has recovered: only what failed is asked for, and then all is there.
    sim.set_faults(Faults::default()).unwrap();
    sim.reset_stats();
    let again = loader(&place, &sim).run().with_code(0);
    assert_eq!((again.boards("due"), sim.stats().distinct_boards), (ended.boards("failed"), ended.boards("failed")));
    assert_eq!(
        failed(&place, &catalog, &Ended { stdout: with_all_boards(&again, &catalog), ..again }),
        BTreeSet::new()
    );
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

/// The second run's result with the boards of the first counted as fetched, so that they add up to the catalogue.
fn with_all_boards(ended: &Ended, catalog: &Catalog) -> String {
    let mut json = ended.json();
    json["boards"]["fetched"] = catalog.len().into();
    json.to_string()
}

#[test]
fn transient_faults_leave_no_trace() {
    let catalog = grid(12, 12);
    // Of each kind that another try can mend, one in five.
    let passing = [FaultKind::TooManyRequests, FaultKind::CloseBefore, FaultKind::CutLength, FaultKind::Maintenance];
    let rates = passing.into_iter().map(|kind| (kind, 0.05)).collect();
    let faults = Faults { rates, retry_after: Duration::ZERO, ..Faults::default() };
    let (sim, place) = (world(&catalog, faults), Place::with_catalog(&catalog));
    let ended = loader(&place, &sim).set("upstream.attempts", "10").run().with_code(0);
    assert_eq!(failed(&place, &catalog, &ended), BTreeSet::new());
    assert!(ended.json()["requests"]["retries"].as_u64() >= Some(1));
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn an_expired_session_is_opened_again() {
    let catalog = grid(12, 12);
    let (entries, drivers) = (2000, 300);
    let session_requests = Some(20);
    let options = SimOptions { catalog: catalog.clone(), entries, drivers, session_requests, ..SimOptions::default() };
    let (sim, place) = (Simulator::start(options).unwrap(), Place::with_catalog(&catalog));
    let _ended = loader(&place, &sim).run().with_code(0);
    let stats = sim.stats();
    assert!(stats.page_requests >= 144 / 20 && stats.with_ended_session > 0, "{stats:?}");
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}
