//! An index made within a headroom has the same bytes as one held in memory, and as a slow model has.

mod model;
mod today;
mod world;

use std::path::Path;

use fastrand::Rng;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use world::*;

use super::objects::BLOCK_ITEMS;
use super::*;
use crate::domain::{Catalog, Ordinal, Rating, Ratings, Validators};
use crate::runtime::config::IndexFormat;
use crate::runtime::fs;
use crate::store::{BoardEncoder, Cache};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_bytes_do_not_depend_on_the_headroom_nor_the_threads(
        seed: u64,
        boards in proptest::collection::vec(prop_oneof![Just(0usize), 1usize..20, 20usize..900], 0..9),
        readers in 1usize..5,
        columns in 400_000_usize..1_500_000,
        // Some boards are too large to be read beside others.
        board in prop_oneof![Just(8usize << 20), Just(5000)],
    ) {
        let world = World::new(seed, &boards);
        let (index, _) = world.index_in(columns, board, readers).unwrap();
        let whole = world.index(None, 2).unwrap();
        prop_assert_eq!(&whole.1, &index.1);
        for (name, bytes) in &whole.0 {
            prop_assert!(index.0.get(name) == Some(bytes), "{}", name);
        }
        let updated_at = "1970-01-01T00:00:00Z";
        model::check(world.cache.folder(), &world.catalog, Some(&world.ratings), &whole.0, updated_at);
    }
}

#[test]
fn little_memory_takes_many_ranges() {
    let world = World::new(4, &[900; 9]);
    let whole = world.index(None, 2).unwrap();
    let mut counts = Vec::new();
    for columns in [300_000, 500_000, 64 << 20] {
        let (index, count) = world.index_in(columns, 8 << 20, 2).unwrap();
        assert_eq!(index, whole);
        counts.push(count);
    }
    assert!(counts[0] > counts[1] && counts[1] > 2 && counts[2] == 2, "{counts:?}");
}

#[test]
fn blocks_begin_where_they_do_in_memory() {
    // Full blocks only, and one row more.
    for more in [0, 1] {
        let folder = tempfile::tempdir().unwrap();
        let (cache, stop) = (Cache::new(&folder.path().join("cache")), CancellationToken::new());
        let world = World { cache, folder, catalog: catalog(), ratings: ratings(&mut Rng::with_seed(7)), stop };
        let entries: Vec<_> = (0..2 * BLOCK_ITEMS + more).map(|number| number % 700).collect();
        for (board, entries) in world.catalog.combinations().zip(entries.chunks(1500)) {
            let mut encoder = BoardEncoder::new(board, "T", &Validators::default());
            for number in entries {
                let raw = format!(r#"{{"driver":{{"name":"Driver {number}"}},"index":{number}}}"#);
                assert!(encoder.push(&serde_json::value::RawValue::from_string(raw).unwrap()));
            }
            let path = world.cache.board_path(board);
            fs::create_folders(fs::parent(&path)).unwrap();
            fs::write_whole(&path, &encoder.finish("t").bytes).unwrap();
        }
        let whole = world.index(None, 2).unwrap();
        for columns in [400_000, 700_000, 64 << 20] {
            assert_eq!(world.index_in(columns, 8 << 20, 2).unwrap().0, whole);
        }
    }
}

/// The driver index made of all of JSON, the slow way.
#[test]
fn a_slow_model_makes_the_same_index() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, stop) = (Cache::new(&folder.path().join("cache")), CancellationToken::new());
    let world = World { cache, folder, catalog: catalog(), ratings: ratings(&mut Rng::with_seed(7)), stop };
    let mut random = Rng::with_seed(3);
    let mut rows = Vec::new();
    for (number, board) in (0..).zip(world.catalog.combinations()) {
        let (place, class) = world.catalog.at(Ordinal(number)).unwrap();
        let mut encoder = BoardEncoder::new(board, "Track", &Validators::default());
        let count = random.usize(..900);
        for place_on_board in 0..count {
            let (name, index) = (random.choice(NAMES).unwrap(), random.u32(..9));
            let entry = serde_json::json!({"driver": {"name": name}, "index": index, "laptime": "1m 23.414s",
                "relative_laptime": "+01.887s", "team": format!("T{}", random.u8(..3))});
            assert!(encoder.push(&serde_json::value::to_raw_value(&entry).unwrap()));
            let text = |text: &str| serde_json::to_string(text).unwrap();
            let row = format!(
                r#"{{"name":{},"position":{},"laptime":"1m 23.414s","time_diff":1.887,"country":"","car":"","car_class":"","team":{},"rank":"","difficulty":"","track":"Track","track_id":"{}","class_id":"{}","date_time":"","found":true,"total_entries":{count}}}"#,
                text(name),
                index + 1,
                text(entry["team"].as_str().unwrap()),
                place.id,
                class.id
            );
            rows.push((name.to_lowercase(), number, index, place_on_board, row));
        }
        let path = world.cache.board_path(board);
        fs::create_folders(fs::parent(&path)).unwrap();
        fs::write_whole(&path, &encoder.finish("t").bytes).unwrap();
    }
    rows.sort();
    let drivers = rows.chunk_by(|a, b| a.0 == b.0).map(|rows| {
        let key = serde_json::to_string(&rows[0].0).unwrap();
        format!("{key}:[{}]", rows.iter().map(|row| row.4.as_str()).collect::<Vec<_>>().join(","))
    });
    let expected = format!("{{{}}}", drivers.collect::<Vec<_>>().join(","));
    let (index, count) = world.index_in(150_000, 8 << 20, 2).unwrap();
    assert!(
        String::from_utf8(index.0["driver_index.json"].clone()).unwrap() == expected && count > 1,
        "{count} ranges"
    );
}

#[test]
fn too_little_memory_is_an_error_before_anything_is_read() {
    let world = World::new(1, &[3]);
    let least = Headroom::least(&world.catalog);
    let error = world.index(Some(least - 1), 2).unwrap_err();
    assert!(matches!(error, IndexError::HeadroomTooSmall { needed, given } if (needed, given) == (least, least - 1)));
    assert_eq!(world.index(None, 2).unwrap(), world.index(Some(least), 2).unwrap());
}

#[test]
fn a_board_that_is_replaced_between_ranges_is_an_error_and_one_renewed_is_not() {
    let world = World::new(4, &[900; 9]);
    let source = world.source(None, 2);
    let plan = headroom::Plan::for_test(400_000, 8 << 20, 2);
    let begin = || range_scan::build_in(&source, Some(plan)).unwrap();
    let (built, ranges) = begin();
    let cached = |it: &usize| built.states[*it] != BoardState::Missing;
    let number = (0..9).find(cached).unwrap();
    let path = world.cache.board_path(world.catalog.combinations().nth(number).unwrap());
    assert!(fs::renew(&path).unwrap());
    assert_eq!(world.export(&built, ranges).unwrap().0, world.index(None, 2).unwrap().0);
    for replaced in [true, false] {
        let (built, ranges) = begin();
        if replaced {
            write_large(&world, number, 3, &entry(&mut Rng::with_seed(9)));
        } else {
            std::fs::remove_file(&path).unwrap();
        }
        let error = world.export(&built, ranges).unwrap_err();
        assert!(matches!(&error, IndexError::Changed(it) if *it == path), "{error}");
    }
}

/// Writes a board of so many entries over that one, and returns its path and the file.
fn write_large(world: &World, number: usize, entries: usize, entry: &str) -> (std::path::PathBuf, Vec<u8>) {
    let board = world.catalog.combinations().nth(number).unwrap();
    let mut encoder = BoardEncoder::new(board, "T", &Validators::default());
    for _ in 0..entries {
        assert!(encoder.push(&serde_json::value::RawValue::from_string(entry.to_owned()).unwrap()));
    }
    let (path, whole) = (world.cache.board_path(board), encoder.finish("t").bytes);
    fs::write_whole(&path, &whole).unwrap();
    (path, whole)
}

#[test]
fn a_board_that_does_not_fit_at_all_is_an_error_but_a_damaged_one_is_only_damaged() {
    let world = World::new(1, &[1; 9]);
    let (path, whole) = write_large(&world, 0, 80_000, &entry(&mut Rng::with_seed(7)));
    let least = Headroom::least(&world.catalog);
    let error = world.index(Some(least), 2).unwrap_err();
    assert!(
        matches!(error, IndexError::HeadroomTooSmall { needed, given } if given == least && needed > least + (1 << 20))
    );
    fs::write_whole(&path, &[&whole[..whole.len() - 8], b"\0\0\0\0\0\0\xff\0"].concat()).unwrap();
    let source = world.source(Some(least), 2);
    let (built, _) = build(&source).unwrap();
    assert!(built.damaged.iter().any(|damaged| world.cache.board_path(damaged.board) == path), "{:?}", built.damaged);
}

#[test]
fn an_index_can_be_made_in_the_headroom_that_an_error_names() {
    let (small, text) = (entry(&mut Rng::with_seed(7)), "x".repeat(100_000));
    // A board of 20 MB of one driver, and rows so large that a block of them is larger than all else.
    for (entries, entry) in [(120_000, small), (80, format!(r#"{{"driver":{{"name":"a"}},"team":"{text}"}}"#))] {
        let world = World::new(1, &[2; 9]);
        let (_, _) = write_large(&world, 0, entries, &entry);
        let mut bytes = Headroom::least(&world.catalog);
        let mut named = Vec::new();
        while let Err(error) = world.index(Some(bytes), 2) {
            let IndexError::HeadroomTooSmall { needed, given } = error else { panic!("{error}") };
            assert!(needed > given && given == bytes, "{needed} {given}");
            bytes = needed;
            named.push(bytes);
        }
        assert!((1..=3).contains(&named.len()), "{named:?}");
        assert!(Headroom::least_for(&world.cache, &world.catalog, 2).unwrap() <= bytes, "{named:?}");
    }
}

#[test]
fn a_stop_is_obeyed() {
    let world = World::new(1, &[900; 9]);
    let source = world.source(None, 2);
    let (built, ranges) = range_scan::build_in(&source, Some(headroom::Plan::for_test(400_000, 8 << 20, 1))).unwrap();
    world.stop.cancel();
    assert!(matches!(build(&source), Err(IndexError::Stopped)));
    let exported = world.export(&built, ranges);
    assert!(matches!(exported, Err(IndexError::Stopped)), "{exported:?}");
}
