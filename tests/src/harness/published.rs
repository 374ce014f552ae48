//! A reader of all published files, which checks that they are complete and agree with each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use r3e_common::domain::Combination;
use serde_json::Value;

use super::cache::{board_at, gunzip, read_json, read_status, top_combinations};
use super::index::{Row, driver_index_and_generation};

/// What a reader has seen.
#[derive(Debug, Default)]
pub struct Observed {
    /// How often everything was read.
    pub passes: usize,
    /// The generations of the index.
    pub generations: BTreeSet<String>,
    /// How often the status told of the very index that was read.
    pub together: usize,
}

/// Reads everything once. Files are read one after another while they are replaced, so that what is compared is only what
/// holds nevertheless: a board of the index is in the cache from before the index on; and figures of one generation are of
/// one index. All `boards` are in the cache from the beginning, and no others.
///
/// # Panics
/// If a file is incomplete, or files contradict each other.
pub fn read_published(cache: &Path, boards: &[Combination], seen: &mut Observed) {
    let status = read_status(cache);
    let (index, generation) = driver_index_and_generation(cache);
    let (_valid, top) = (top_combinations(cache), read_json(&cache.join("top_combinations.json")));
    for &board in boards {
        assert!(board_at(cache, board).is_some(), "{board}: it was in the cache from the beginning");
    }
    let on_disk = |row: &Row| boards.contains(&row.board().parse().unwrap());
    assert!(index.rows().all(on_disk), "an entry of the index whose board is not there");
    if status["generation"] == generation {
        assert_eq!(status["total_entries"], index.rows().count(), "of generation {generation}");
        seen.together += 1;
    }
    if top["generation"] == generation {
        let listed: u64 = top["results"].as_array().unwrap().iter().map(|it| it["entry_count"].as_u64().unwrap()).sum();
        assert_eq!(listed, index.rows().count() as u64, "of generation {generation}");
    }
    read_todays(cache, boards);
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
    serde_json::from_slice(&gunzip(&fs::read(path).unwrap(), path)).unwrap()
}
