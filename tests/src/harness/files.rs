//! Reading a cache as front ends do, and comparing it with what was served.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a file that cannot be read fails the test")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::bufread::GzDecoder;
use r3e_common::domain::Combination;
use serde_json::Value;

use crate::sim::World;

/// The driver index: results by key.
pub type Index = BTreeMap<String, Vec<Value>>;

/// A gzip file's text; it has to be one member with nothing after it.
fn inflate(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut decoder = GzDecoder::new(bytes.as_slice());
    let mut text = String::new();
    decoder.read_to_string(&mut text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(decoder.into_inner().is_empty(), "{}: something after the gzip member", path.display());
    text
}

/// A file of JSON.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn json_file(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The driver index of a cache.
///
/// # Panics
/// When it is not there, or not whole.
#[must_use]
pub fn index_of(cache: &Path) -> Index {
    serde_json::from_str(&inflate(&cache.join("driver_index.json.gz"))).unwrap()
}

/// Every file of a folder, hidden ones aside, with its bytes and the time it was written.
///
/// # Panics
/// When the folder cannot be read.
#[must_use]
pub fn snapshot(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        for entry in entries.map(Result::unwrap) {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else {
                let written = entry.metadata().unwrap().modified().unwrap();
                files.insert(path.clone(), (std::fs::read(&path).unwrap(), written));
            }
        }
    }
    files
}

/// Every board in a folder of boards, with its entries; each has to be whole, and the board that its path says.
///
/// # Panics
/// When one is not.
#[must_use]
pub fn boards(folder: &Path) -> BTreeMap<Combination, Vec<Value>> {
    let is_board = |path: &&PathBuf| path.to_string_lossy().ends_with(".json.gz") && path.parent() != Some(folder);
    let read = |path: &PathBuf| {
        // Entries stand as they were sent, and some were sent with half a surrogate pair, which this reader refuses.
        let text = inflate(path).replace(r"\ud800", r"\ufffd");
        let board: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let info = &board["track_info"];
        let (track, class) = (info["TrackID"].as_str().unwrap(), info["ClassID"].as_str().unwrap());
        assert!(path.ends_with(format!("track_{track}/class_{class}.json.gz")), "{}", path.display());
        let entries = info["Data"].as_array().cloned().unwrap_or_default();
        assert_eq!(board["entry_count"], entries.len());
        (format!("{track}-{class}").parse().unwrap(), entries)
    };
    snapshot(folder).keys().filter(is_board).map(read).collect()
}

/// Reads every file at its final path: boards, index, top combinations, status.
///
/// # Panics
/// When one that is there is not whole.
pub fn check_cache(cache: &Path) {
    let _whole = boards(cache);
    for (name, is_gzip) in [("driver_index.json.gz", true), ("top_combinations.json", false), ("status.json", false)] {
        let path = cache.join(name);
        if path.exists() {
            if is_gzip {
                let _whole = index_of(cache);
            } else {
                let _whole = json_file(&path);
            }
        }
    }
}

/// Compares a cache's index with what was served: each entry that has a driver's name once, and nothing else. `missing`
/// boards are those that could not be had.
///
/// # Panics
/// When they differ.
pub fn compare(cache: &Path, world: &World, missing: &[Combination]) {
    let mut served = Vec::new();
    for board in world.boards().filter(|board| !missing.contains(&board.combination())) {
        let Combination { track, class } = board.combination();
        for entry in board.entries() {
            if let Some(name) = entry.name {
                let position = entry.index.map_or(1, |index| index + 1);
                served.push((name.to_lowercase(), name, track.to_string(), class.to_string(), position, board.len()));
            }
        }
    }
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut found = Vec::new();
    for (key, results) in index_of(cache) {
        for it in results {
            let (name, track, class) = (text(&it["name"]), text(&it["track_id"]), text(&it["class_id"]));
            found.push((key.clone(), name, track, class, number(&it["position"]), number(&it["total_entries"])));
        }
    }
    served.sort_unstable();
    found.sort_unstable();
    let differs = served.iter().zip(&found).find(|(served, found)| served != found);
    assert_eq!(differs, None, "served, found");
    assert_eq!(found.len(), served.len());
}
