//! Hostile responses: at most, they fail their own board; they never end the run or exceed its memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use r3e_common::domain::Combination;
use r3e_tests::harness::{Differences, Place, assert_serves, board_files, driver_index, grid, read_status};
use r3e_tests::sim::{FaultKind, Faults, SimOptions, Simulator};

/// What a small catalogue may take at the peak, whatever it is sent.
const MOST_MEMORY_BYTES: u64 = 100 << 20;

/// A world of 36 boards of which some are so large, with `faults`.
fn world(sizes: &[(Combination, u32)], entries: u64, faults: Faults) -> (Simulator, Place) {
    let catalog = grid(6, 6);
    let place = Place::with_catalog(&catalog);
    let board_sizes = sizes.iter().copied().collect();
    let options = SimOptions { catalog, entries, drivers: 900, board_sizes, faults, ..SimOptions::default() };
    (Simulator::start(options).unwrap(), place)
}

/// The board at that place of the catalogue.
fn board(place: usize) -> Combination {
    grid(6, 6).combinations().nth(place).unwrap()
}

/// Runs against a service that always answers in that way for one board of 40 entries; whether the board failed.
fn fails(kind: FaultKind) -> bool {
    let board = board(7);
    let drip_every = Duration::from_millis(50);
    let faults = Faults { always: BTreeMap::from([(board, kind)]), drip_every, ..Faults::default() };
    let (sim, place) = world(&[(board, 40)], 2000, faults);
    let loader = place.loader(&sim.base_url()).set("upstream.timeout", "1s").set("upstream.attempts", "2");
    let ended = loader.run();
    let json = ended.json();
    let peak = json["memory"]["peak_rss_bytes"].as_u64().unwrap();
    assert!(peak < MOST_MEMORY_BYTES, "{kind}: {peak} bytes at the peak");
    let failed = json["failed"].as_array().unwrap();
    let (code, missing) = match failed.as_slice() {
        [] => (0, BTreeSet::new()),
        [failed] => {
            assert_eq!(
                (&failed["track_id"], &failed["class_id"]),
                (&told(&board.track), &told(&board.class)),
                "{kind}"
            );
            (3, BTreeSet::from([board]))
        }
        more => panic!("{kind}: only one board goes wrong: {more:?}"),
    };
    assert_eq!(read_status(&place.cache())["failed_fetches"], json["failed"], "{kind}");
    let failed = !missing.is_empty();
    // A board that has not failed is right: all of its entries are there.
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences { missing });
    assert_eq!(board_files(&place.cache()).len(), 36 - usize::from(failed), "{kind}");
    let _ended = ended.with_code(code);
    failed
}

fn told(id: &impl ToString) -> serde_json::Value {
    id.to_string().into()
}

#[test]
fn each_kind_fails_alone() {
    use FaultKind::{
        BadGateway, CloseBefore, CutChunked, CutLength, DeepNesting, EndlessBody, GzipBomb, InvalidUtf8, SlowDrip,
        TooManyEntries, TruncatedJson, WrongType,
    };
    let bodies = [GzipBomb, EndlessBody, SlowDrip, DeepNesting, TruncatedJson, WrongType, TooManyEntries, InvalidUtf8];
    for kind in bodies.into_iter().chain([CutLength, CutChunked, CloseBefore, BadGateway]) {
        assert!(fails(kind), "{kind}");
    }
    assert!(!fails(FaultKind::DuplicateKeys), "of doubled keys the last counts");
}

#[test]
fn a_repeated_page_is_not_taken_for_the_next_one() {
    // Boards of nine pages, one in three further pages of which is the first page again.
    let sizes: Vec<_> = (0..36).step_by(4).map(|place| (board(place), 430)).collect();
    let (sim, place) = world(&sizes, 9000, Faults::only(FaultKind::IgnoresStart, 0.3));
    let ended = place.loader(&sim.base_url()).set("upstream.page_size", "50").set("upstream.attempts", "20").run();
    assert!(sim.stats().faults[&FaultKind::IgnoresStart] > 10);
    let _ended = ended.with_code(0);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}
