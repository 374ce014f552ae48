//! A service that misbehaves: what can be had is had once, what cannot is named, and a dead service is left alone.

use std::collections::BTreeMap;
use std::time::Duration;

use r3e_common::domain::Combination;
use r3e_tests::harness::{Loader, boards, compare, json_file, small_catalog, snapshot, until};
use r3e_tests::sim::{FaultKind, Faults, SimOptions, Simulator};
use serde_json::Value;

use crate::{slow, small};

/// The boards that a list of failed fetches names, each of which has to have a reason.
fn named(failed: &Value) -> Vec<Combination> {
    let board = |it: &Value| {
        assert!(!it["error"].as_str().unwrap().is_empty() && !it["track_name"].as_str().unwrap().is_empty());
        format!("{}-{}", it["track_id"].as_str().unwrap(), it["class_id"].as_str().unwrap()).parse().unwrap()
    };
    failed.as_array().unwrap().iter().map(board).collect()
}

fn hasty(loader: Loader) -> Loader {
    loader.set("upstream.timeout", "400ms").set("upstream.max_body_mb", "4")
}

#[test]
fn among_faults_of_all_kinds_nothing_is_lost_or_doubled_and_what_failed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let catalog = small_catalog(20, 20);
    let always: BTreeMap<_, _> = catalog.combinations().step_by(150).map(|it| (it, FaultKind::InternalError)).collect();
    let faults = Faults { always: always.clone(), retry_after: Duration::ZERO, ..Faults::all(0.3) };
    let options =
        SimOptions { catalog: catalog.clone(), entries: 30_000, drivers: 4_000, faults, ..SimOptions::default() };
    let sim = Simulator::start(options).unwrap();
    let loader = hasty(Loader::new(folder.path()).upstream(&sim.base_url()).catalog(&catalog));

    let run = loader.run().ended(3);
    let stats = sim.stats();
    // A service that ignores `start` shows on further pages only, and so is tried apart.
    let happened = |kind: &FaultKind| *kind == FaultKind::IgnoresStart || stats.faults.contains_key(kind);
    assert!(FaultKind::ALL.iter().all(happened), "{:?}", stats.faults);
    let failed = named(&run.json["failed"]);
    assert!(always.keys().all(|board| failed.contains(board)), "{failed:?}");
    let told = json_file(&cache.join("status.json"));
    assert_eq!(named(&told["failed_fetches"]), failed);
    assert_eq!((&told["failed_fetch_count"], &told["fetch_in_progress"]), (&failed.len().into(), &false.into()));
    assert!(told["retried_fetch_count"].as_u64().unwrap() >= failed.len() as u64);
    let cached = boards(&cache);
    assert_eq!(cached.len() + failed.len(), catalog.len());
    assert!(failed.iter().all(|board| !cached.contains_key(board)));
    compare(&cache, sim.world(), &failed);
    assert!(stats.in_flight_peak <= 4, "{stats:?}");

    // Once the service is well again, a run fetches what is missing and nothing else.
    sim.set_faults(Faults::default()).unwrap();
    sim.reset_stats();
    let run = loader.run().ended(0);
    assert_eq!(run.number("/boards/fetched"), failed.len() as u64);
    compare(&cache, sim.world(), &[]);
    assert_eq!(json_file(&cache.join("status.json"))["failed_fetch_count"], 0);
}

#[test]
fn each_hostile_answer_costs_its_board_alone_and_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let harmless = [FaultKind::InvalidUtf8, FaultKind::DuplicateKeys];
    let large = small_catalog(12, 12).combinations().next().unwrap();
    let options = SimOptions { board_sizes: BTreeMap::from([(large, 3100)]), ..SimOptions::default() };
    let (sim, loader) = small(folder.path(), options);
    let others = sim.world().boards().filter(|it| (1..1499).contains(&it.len())).map(|it| it.combination());
    let kinds = FaultKind::ALL.iter().copied().filter(|kind| *kind != FaultKind::IgnoresStart);
    let always: BTreeMap<_, _> = others.zip(kinds).chain([(large, FaultKind::IgnoresStart)]).collect();
    assert_eq!(always.len(), FaultKind::ALL.len());
    sim.set_faults(Faults { always: always.clone(), retry_after: Duration::ZERO, ..Faults::default() }).unwrap();

    let run = hasty(loader).run().ended(3);
    let failed = named(&run.json["failed"]);
    for (board, kind) in &always {
        assert_eq!(failed.contains(board), !harmless.contains(kind), "{kind}: {}", run.output);
    }
    assert_eq!(failed.len(), always.len() - harmless.len());
    let invalid_utf8 = always.iter().find(|(_, kind)| **kind == FaultKind::InvalidUtf8).unwrap().0;
    let read = boards(&cache);
    assert_eq!(read[invalid_utf8].len(), sim.world().entry_count(*invalid_utf8) as usize);
    assert!(run.number("/memory/peak_rss_bytes") < 100 << 20, "{}", run.output);
    // The damaged bytes of that one board may be in a name, so the rest is compared.
    let apart: Vec<_> = failed.iter().chain([invalid_utf8]).copied().collect();
    if read[invalid_utf8].is_empty() {
        compare(&cache, sim.world(), &apart);
    }
}

#[test]
fn sessions_that_end_are_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let (sim, loader) = small(folder.path(), SimOptions { session_requests: Some(20), ..SimOptions::default() });
    let _done = loader.run().ended(0);
    compare(&folder.path().join("cache"), sim.world(), &[]);
    let stats = sim.stats();
    assert!((7..=12).contains(&stats.page_requests), "{stats:?}");
    assert_eq!(stats.without_script_header, 0);
}

#[test]
fn a_dead_service_ends_the_run_soon_and_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let (sim, loader) = small(folder.path(), SimOptions::default());
    let _done = loader.run().ended(0);
    let loader = loader.set("cache.max_age", "1ms");
    let published = || {
        let mut files = snapshot(&cache);
        files.remove(&cache.join("status.json"));
        files
    };
    let before = published();
    sim.go_down().unwrap();
    let run = loader.run().ended(69);
    assert!(published() == before, "boards and exports are as they were, times included");
    assert!(
        run.errors.contains("the service is unavailable") && run.errors.contains("cannot connect"),
        "{}",
        run.errors
    );
    assert!(run.number("/requests/sent") <= 12, "{}", run.output);
    assert_eq!(json_file(&cache.join("status.json"))["fetch_in_progress"], false);

    // Maintenance all over: every answer is a page of HTML with status 200.
    sim.come_up().unwrap();
    sim.set_faults(Faults::only(FaultKind::Maintenance, 1.0)).unwrap();
    let run = loader.run();
    assert!(published() == before, "no board was taken for empty");
    assert!(run.code == Some(69) || run.code == Some(3), "{}", run.errors);
}

#[test]
fn a_service_that_goes_down_midway_leaves_what_had_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let sim = Simulator::start(SimOptions { entries: 20_000, ..slow() }).unwrap();
    let running =
        Loader::new(folder.path()).upstream(&sim.base_url()).set("upstream.requests_per_second", "300").start();
    until("some boards have come", || sim.stats().requests > 300);
    sim.go_down().unwrap();
    let run = running.wait().ended(69);
    let arrived = boards(&cache);
    assert_eq!(arrived.len() as u64, run.number("/boards/fetched"));
    assert!(arrived.len() > 250 && arrived.len() < 14_703);
    let missing: Vec<_> = sim.world().catalog().combinations().filter(|it| !arrived.contains_key(it)).collect();
    compare(&cache, sim.world(), &missing);
}

#[test]
fn a_service_that_asks_to_be_left_alone_for_an_hour_is() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults { retry_after: Duration::from_hours(1), ..Faults::only(FaultKind::Unavailable, 1.0) };
    let (sim, loader) = small(folder.path(), SimOptions { faults, ..SimOptions::default() });
    let run = loader.run().ended(69);
    assert!(run.errors.contains("status 503, try again after 1h"), "{}", run.errors);
    assert!(sim.stats().listing_requests <= 4);
}

#[test]
fn a_service_that_gives_sessions_and_nothing_else_is_down() {
    let folder = tempfile::tempdir().unwrap();
    let (sim, loader) = small(folder.path(), SimOptions { session_requests: Some(0), ..SimOptions::default() });
    let run = loader.run().ended(69);
    assert!(run.errors.contains("status 401"), "{}", run.errors);
    assert!(sim.stats().requests <= 24, "{:?}", sim.stats());
}
