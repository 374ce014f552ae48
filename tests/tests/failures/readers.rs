//! Readers that read continuously while boards are promoted and indexes are exported.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use r3e_common::domain::Combination;
use r3e_tests::harness::{
    Place, age, board_at, board_file, driver_index_and_generation, grid, gunzip, read_json, read_status,
    top_combinations, until,
};
use r3e_tests::sim::{SimOptions, Simulator};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const PROMOTIONS: usize = 20;

/// What a reader has seen.
#[derive(Debug, Default)]
struct Observed {
    passes: usize,
    generations: std::collections::BTreeSet<String>,
    /// How often the status told of the very index that was read.
    together: usize,
}

/// Reads everything once. Files are read one after another while they are replaced, so that what is compared is only what
/// holds nevertheless: a board of the index is in the cache from before the index on; and figures of one generation are of
/// one index.
fn read(place: &Place, boards: &[Combination], seen: &mut Observed) {
    let cache = place.cache();
    let status = read_status(&cache);
    let (index, generation) = driver_index_and_generation(&cache);
    let (_valid, top) = (top_combinations(&cache), read_json(&cache.join("top_combinations.json")));
    for &board in boards {
        assert!(board_at(&cache, board).is_some(), "{board}: it was in the cache from the beginning");
    }
    let on_disk = |row: &r3e_tests::harness::Row| boards.contains(&row.board().parse().unwrap());
    assert!(index.rows().all(on_disk), "an entry of the index whose board is not there");
    if status["generation"] == generation {
        assert_eq!(status["total_entries"], index.rows().count(), "of generation {generation}");
        seen.together += 1;
    }
    if top["generation"] == generation {
        let listed: u64 = top["results"].as_array().unwrap().iter().map(|it| it["entry_count"].as_u64().unwrap()).sum();
        assert_eq!(listed, index.rows().count() as u64, "of generation {generation}");
    }
    read_todays(&cache, boards);
    seen.passes += 1;
    seen.generations.insert(generation);
}

/// Reads the files of today's front ends: each shard parses, no entry is without its board, and the manifest names no file
/// that is missing.
fn read_todays(cache: &Path, boards: &[Combination]) {
    let (mut entries, mut drivers) = (0, 0);
    for shard in ('a'..='z').chain(['_']) {
        let of_key = read_json_gz(&cache.join(format!("index/entries/{shard}.json.gz")));
        for entry in of_key.as_object().unwrap().values().flat_map(|it| it.as_array().unwrap()) {
            let id = |key: &str| entry[key].as_str().unwrap();
            let board = format!("{}-{}", id("track_id"), id("class_id")).parse().unwrap();
            assert!(boards.contains(&board), "{entry}");
            entries += 1;
        }
        let metadata = read_json_gz(&cache.join(format!("index/metadata/{shard}.json.gz")));
        drivers += metadata.as_object().unwrap().len();
    }
    let names = read_json_gz(&cache.join("index/mirror.json.gz"));
    assert!(entries > 0 && drivers > 0 && !names.as_array().unwrap().is_empty());
    assert!(read_json_gz(&cache.join("index/teams.json.gz")).is_object());

    let manifest = read_json(&cache.join("stats/index.json"));
    let scopes = manifest["classes"].as_array().unwrap().iter().chain(manifest["superclasses"].as_array().unwrap());
    let files = scopes.map(|it| &it["files"]).chain([&manifest["overall"], &manifest["overall_top"]]);
    let mut lists = 0;
    for file in files.flat_map(|it| it.as_object().unwrap().values()) {
        let name = file.as_str().unwrap().strip_prefix("cache/").unwrap();
        assert!(read_json_gz(&cache.join(name))["results"].is_array(), "{name}");
        lists += 1;
    }
    assert!(lists >= 10, "{lists}");
}

fn read_json_gz(path: &Path) -> Value {
    serde_json::from_slice(&gunzip(&std::fs::read(path).unwrap(), path)).unwrap()
}

#[test]
fn a_reader_never_fails_and_never_finds_an_entry_without_its_board() {
    let catalog = grid(8, 8);
    let boards: Vec<Combination> = catalog.combinations().collect();
    let place = Place::in_memory(&catalog);
    let options = SimOptions { catalog, entries: 1500, drivers: 300, ..SimOptions::default() };
    let sim = Simulator::start(options).unwrap();
    let url = sim.base_url();
    let _first = place.loader(&url).run().with_code(0);

    let (over, passes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = Observed::default();
            while !over.load(Ordering::Acquire) {
                read(&place, &boards, &mut seen);
                passes.store(seen.passes, Ordering::Release);
            }
            seen
        });
        let refreshes = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for number in 0..PROMOTIONS {
                refresh(&place, &sim, &boards, number);
                // One that has begun since, and whatever the machine does beside.
                let before = passes.load(Ordering::Acquire);
                until("the reader has looked", || passes.load(Ordering::Acquire) >= before + 2 || reader.is_finished());
            }
        }));
        over.store(true, Ordering::Release);
        let seen = reader.join().unwrap();
        refreshes.unwrap();
        seen
    });
    assert!(seen.passes >= PROMOTIONS, "{seen:?}");
    assert!(seen.generations.len() >= PROMOTIONS / 2 && seen.together >= PROMOTIONS / 2, "{seen:?}");
    read(&place, &boards, &mut Observed::default());
}

/// Changes a third of the boards and lets a job bring them in.
fn refresh(place: &Place, sim: &Simulator, boards: &[Combination], number: usize) {
    let changed: Vec<Combination> = boards.iter().copied().skip(number % 3).step_by(3).collect();
    for &board in &changed {
        sim.change_board(board).unwrap();
        age(&board_file(&place.cache(), board), Duration::from_hours(48));
    }
    let (url, named) = (sim.base_url(), changed.iter().map(ToString::to_string).collect::<Vec<_>>());
    let job = match number % 4 {
        0 => place.loader(&url),
        1 => place.refresher(&url, &["full", "--fresh"]),
        2 => place.refresher(&url, &["boards"]).arguments(&named),
        _ => place.refresher(&url, &["incremental"]),
    };
    let ended = job.set("index.every", "5ms").run().with_code(0);
    assert!(ended.boards("changed") > 0, "{}", ended.stderr);
}
