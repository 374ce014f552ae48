//! A service whose pages are shorter than they were, whose boards change while they are fetched, or whose answers are damaged:
//! whatever it sends, cached entries stay whole.

use std::collections::BTreeSet;

use r3e_common::domain::Combination;
use r3e_tests::harness::{Differences, Ended, Event, assert_serves, board_files, driver_index, grid, read_status};
use r3e_tests::sim::{FaultKind, Faults, SimOptions, Simulator};
use serde_json::Value;

use super::{filled, loaded, sized};

/// The boards that are logged to have shrunk.
fn shrunk(ended: &Ended) -> Vec<Event> {
    ended.events_with(&["board", "cached", "fetched"])
}

fn large() -> Combination {
    grid(4, 4).combinations().nth(5).unwrap()
}

/// A world of 16 boards, one of which has that many entries.
fn world(large_entries: u32) -> SimOptions {
    SimOptions { drivers: 4000, board_sizes: [(large(), large_entries)].into(), ..sized(5000) }
}

#[test]
fn capped_pages_cost_no_entry() {
    // It has always been so.
    let (sim, place) = loaded(4, SimOptions { page_cap: Some(1000), ..world(3200) });
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    let _ended = place.refresher(&sim.base_url(), &["boards", &large().to_string()]).run().with_code(0);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());

    // It is so since the cache was filled.
    let (sim, place) = loaded(4, world(3200));
    for page_cap in [1000, 1499, 100] {
        let catalog = grid(4, 4);
        let capped = SimOptions { catalog, page_cap: Some(page_cap), ..world(3200) };
        let capped = Simulator::start(capped).unwrap();
        let ended = place.refresher(&capped.base_url(), &["full"]).run().with_code(0);
        assert_eq!((ended.boards("changed"), ended.boards("failed")), (0, 0), "{page_cap}");
        assert!(shrunk(&ended).is_empty(), "{}", ended.stderr);
        assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    }
}

#[test]
fn a_board_that_changes_between_two_pages_has_no_entry_twice_and_none_missing() {
    for kind in [FaultKind::Inserted, FaultKind::Removed] {
        let (sim, place) = loaded(4, world(3200));
        sim.set_faults(Faults { always: [(large(), kind)].into(), ..Faults::default() }).unwrap();
        let ended = place.refresher(&sim.base_url(), &["full"]).run().with_code(0);
        assert_eq!((sim.stats().faults[&kind], ended.boards("changed")), (1, 1), "{kind}");
        assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    }
}

#[test]
fn a_wrongly_declared_encoding_costs_no_name() {
    let (sim, place) = loaded(4, sized(900));
    let entries =
        || board_files(&place.cache()).into_iter().map(|(board, file)| (board, file.entries)).collect::<Vec<_>>();
    let before = entries();
    // On other boards everything is escaped.
    let plain: BTreeSet<_> = filled(&sim)
        .into_iter()
        .filter(|&it| !sim.world().board(it).unwrap().entries().all(|it| it.json.is_ascii()))
        .collect();
    assert!(!plain.is_empty());
    sim.set_faults(Faults::only(FaultKind::UndeclaredLatin1, 1.0)).unwrap();
    let ended = place.refresher(&sim.base_url(), &["full"]).set("upstream.attempts", "2").run().with_code(3);
    assert_eq!(ended.boards("changed"), 0);
    let failed = read_status(&place.cache())["failed_fetches"].as_array().unwrap().clone();
    assert_eq!(failed.len(), plain.len());
    for it in failed {
        let board = format!("{}-{}", it["track_id"].as_str().unwrap(), it["class_id"].as_str().unwrap());
        assert!(plain.contains(&board.parse().unwrap()), "{board}");
        assert!(it["error"].as_str().unwrap().contains("UTF-8"), "{it}");
    }
    assert!(entries() == before);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn a_board_that_really_shrank_is_fetched_twice_and_accepted() {
    let (sim, place) = loaded(4, world(3200));
    let smaller = Simulator::start(SimOptions { catalog: grid(4, 4), ..world(1000) }).unwrap();
    // Those boards whose share of the entries is smaller.
    let size = |sim: &Simulator, board| sim.world().entry_count(board);
    let smaller_now: Vec<_> =
        filled(&sim).into_iter().filter(|&it| (1..size(&sim, it)).contains(&size(&smaller, it))).collect();
    assert_eq!(smaller_now, [large()]);
    let refresher = || place.refresher(&smaller.base_url(), &["full"]);
    let ended = refresher().run().with_code(0);
    let [logged] = shrunk(&ended).try_into().unwrap();
    let fields = ["board", "cached", "fetched"].map(|it| logged.field(it).clone());
    assert_eq!(fields, [large().to_string().into(), Value::from(3200), Value::from(1000)]);
    assert_serves(&driver_index(&place.cache()), smaller.world(), &Differences::default());
    assert!(shrunk(&refresher().run().with_code(0)).is_empty(), "once it is cached, it is what it is");
}
