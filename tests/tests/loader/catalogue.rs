//! The whole catalogue with 300,000 entries: everything arrives once, and nothing is asked for twice.

use std::time::{Duration, SystemTime};

use r3e_common::domain::Ordinal;
use r3e_tests::harness::{Loader, compare, index_of, json_file, small_catalog};
use r3e_tests::sim::{SimOptions, Simulator};

#[test]
fn every_entry_arrives_once_and_only_old_boards_are_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let sim = Simulator::start(SimOptions::default()).unwrap();
    let loader = Loader::new(folder.path()).upstream(&sim.base_url());

    let run = loader.run().ended(0);
    compare(&cache, sim.world(), &[]);
    let stats = sim.stats();
    assert_eq!(stats.distinct_boards, 14_703);
    assert!(stats.requests <= 14_703 + stats.further_page_requests + 2, "{stats:?}");
    assert_eq!((run.number("/requests/sent"), run.number("/requests/retries")), (stats.requests, 0));
    assert!(stats.connections_open_peak <= 4 && stats.in_flight_peak <= 4, "{stats:?}");
    assert!(stats.idle_peak <= 2, "{stats:?}");
    assert_eq!(stats.connections_open, 0, "closed at the end");
    assert_eq!((run.number("/entries"), run.number("/boards/fetched")), (300_000, 14_703));
    assert_eq!(run.number("/drivers"), sim.world().distinct_driver_keys() as u64);
    assert!(run.number("/memory/peak_rss_bytes") < 100 << 20, "{}", run.output);
    let told = json_file(&cache.join("status.json"));
    assert_eq!((&told["total_entries"], &told["fetch_in_progress"]), (&300_000.into(), &false.into()));
    assert_eq!(told["track_count"], sim.world().boards_with_entries());

    sim.reset_stats();
    let run = loader.run().ended(0);
    assert_eq!((sim.stats().requests, sim.stats().connections_accepted), (0, 0));
    assert_eq!(run.json["index"]["changed"], false);

    // Every 100th board grows old.
    let old: Vec<_> = (0..14_703).step_by(100).map(Ordinal).collect();
    for &ordinal in &old {
        let (track, class) = sim.world().catalog().at(ordinal).unwrap();
        let path = cache.join(format!("track_{}/class_{}.json.gz", track.id, class.id));
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(25)).unwrap();
    }
    let before = index_of(&cache);
    let run = loader.run().ended(0);
    let stats = sim.stats();
    assert_eq!(stats.distinct_boards, old.len() as u64);
    assert_eq!(stats.listing_requests, old.len() as u64 + stats.further_page_requests);
    assert_eq!(run.number("/boards/fetched"), old.len() as u64);
    assert!(index_of(&cache) == before);
    let _fresh = loader.run().ended(0);
    assert_eq!(sim.stats().requests, stats.requests, "their age is renewed");
}

#[test]
fn the_pace_holds_and_only_narrows_the_choice() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = small_catalog(12, 12);
    let sim =
        Simulator::start(SimOptions { catalog: catalog.clone(), entries: 2_000, ..SimOptions::default() }).unwrap();
    let loader = Loader::new(folder.path()).upstream(&sim.base_url()).catalog(&catalog);
    let (first, second) = (&catalog.tracks()[0], &catalog.tracks()[1]);
    let only = format!("{},{}-{}", first.id, second.id, catalog.classes()[0].id);
    let run = loader.clone().arg("--only").arg(only).set("upstream.requests_per_second", "10").run().ended(0);
    assert_eq!((run.number("/boards/fetched"), sim.stats().distinct_boards), (13, 13));
    assert!(sim.stats().requests_per_second_peak <= 11, "{:?}", sim.stats());

    let run = loader.set("upstream.requests_per_second", "100").run().ended(0);
    assert_eq!(run.number("/boards/fetched"), 144 - 13, "what --only fetched is fresh");
    assert!(sim.stats().requests_per_second_peak <= 103, "{:?}", sim.stats());
    compare(&folder.path().join("cache"), sim.world(), &[]);
}
