//! A cache of the older program, indexed by this one: the same drivers and results, field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use lzma_rust2::XzReader;
use r3e_common::domain::Catalog;
use r3e_tests::harness::{
    DriverIndex, Place, Row, board_files, distinct_drivers, driver_index, gunzip, parse_driver_index, read_json,
    read_status, snapshot, top_combinations,
};

/// Nothing listens there: no request is expected.
pub(super) const NOWHERE: &str = "http://127.0.0.1:9";
const EXPORTS: [&str; 2] = ["driver_index.json.gz", "top_combinations.json"];

/// A cache of the older program, which is not part of this repository.
const ARCHIVE: &str = "golden/reference-cache.tar.xz";

/// The older program's cache, with its own exports moved to `older/`.
#[track_caller]
pub(super) fn unpacked() -> Option<Place> {
    let shared = std::env::var_os("R3E_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    let Ok(archive) = fs::File::open(shared.join(ARCHIVE)) else {
        r3e_needs::missing_data(&format!("{ARCHIVE} in ../shared beside the workspace, or in R3E_SHARED"));
        return None;
    };
    let (place, archive) = (Place::new(), BufReader::new(archive));
    tar::Archive::new(XzReader::new(archive, false)).unpack(place.path("")).unwrap();
    fs::create_dir(place.path("older")).unwrap();
    for name in EXPORTS {
        fs::rename(place.cache().join(name), place.path("older").join(name)).unwrap();
    }
    fs::copy(place.cache().join("status.json"), place.path("older/status.json")).unwrap();
    Some(place)
}

fn exports(cache: &Path) -> [Vec<u8>; 2] {
    EXPORTS.map(|name| fs::read(cache.join(name)).unwrap())
}

/// Results by key, in an order of their own.
fn by_key(index: &DriverIndex) -> BTreeMap<&str, Vec<&Row>> {
    index.0.iter().map(|(key, rows)| (key.as_str(), sorted(rows))).collect()
}

fn sorted(rows: &[Row]) -> Vec<&Row> {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_cached_key(|row| (row.board(), row.position, row.name.clone(), row.date_time.clone()));
    rows
}

/// Lower case as in the older program: each character is mapped to one.
fn simple_lower_case(text: &str) -> String {
    text.chars().map(|c| c.to_lowercase().next().unwrap()).collect()
}

#[test]
fn the_same_drivers_and_results_as_the_older_programs() {
    let Some(place) = unpacked() else { return };
    let path = place.path("older/driver_index.json.gz");
    let older = parse_driver_index(&gunzip(&fs::read(&path).unwrap(), &path));
    let ended = place.loader(NOWHERE).argument("--cached-only").run().with_code(0);
    let newer = driver_index(&place.cache());
    assert_eq!((older.rows().count(), newer.rows().count(), newer.0.len()), (2049, 2049, 655));

    let (old, new) = (by_key(&older), by_key(&newer));
    let mut differ = BTreeSet::new();
    for (key, rows) in &old {
        let full = rows[0].name.to_lowercase();
        assert!(rows.iter().all(|row| simple_lower_case(&row.name) == *key && row.name.to_lowercase() == full));
        assert_eq!(Some(rows), new.get(full.as_str()), "the results of {key:?}");
        if full != *key {
            differ.insert(*key);
        }
    }
    assert_eq!(old.len(), new.len());
    // `İ` is the only character in these names whose full lower case is more than one.
    let dotted = old.iter().filter(|(_, rows)| rows[0].name.contains('İ')).map(|(key, _)| *key);
    assert_eq!(differ, dotted.collect());
    assert_eq!(differ.len(), 26);

    let catalog = Catalog::builtin();
    for (key, rows) in &newer.0 {
        let sequence = |row: &Row| (catalog.ordinal(row.board().parse().unwrap()), row.position);
        assert!(rows.is_sorted_by_key(sequence), "{key:?}: catalogue order, then position");
    }
    let json = ended.json();
    assert_eq!((json["drivers"].as_u64(), json["entries"].as_u64()), (Some(655), Some(2049)));
    assert_eq!((ended.boards("cached"), ended.boards("with_entries"), ended.boards("damaged")), (14_703, 740, 0));
}

#[test]
fn the_same_top_combinations_and_counts_as_the_older_programs() {
    let Some(place) = unpacked() else { return };
    let before = snapshot(&place.cache());
    let _ended = place.loader(NOWHERE).argument("--cached-only").run().with_code(0);

    let older = read_json(&place.path("older/top_combinations.json"));
    let newer = top_combinations(&place.cache());
    // The older program called these five classes WTCC.
    let renamed = |it: &serde_json::Value| it.to_string().replace("\"WTCC 20", "\"WTCR 20");
    let set = |list: &[serde_json::Value]| list.iter().map(renamed).collect::<BTreeSet<_>>();
    assert_eq!((newer.len(), set(&newer)), (740, set(older["results"].as_array().unwrap())));
    let catalog = Catalog::builtin();
    let sequence = |it: &serde_json::Value| {
        let id = |key: &str| it[key].as_str().unwrap().to_owned();
        let board = format!("{}-{}", id("track_id"), id("class_id")).parse().unwrap();
        (std::cmp::Reverse(it["entry_count"].as_u64()), catalog.ordinal(board))
    };
    assert!(newer.is_sorted_by_key(sequence), "ties in catalogue order");

    let (older, newer) = (read_json(&place.path("older/status.json")), read_status(&place.cache()));
    // The older program counted names, today's counts ids.
    assert_eq!(newer["total_drivers"], distinct_drivers(board_files(&place.cache()).values()));
    let counts = ["track_count", "total_fetched_combinations", "total_unique_tracks", "total_entries"];
    // What this run did not do, it does not tell anew.
    let untouched = ["failed_fetch_count", "retried_fetch_count", "last_scrape_start", "last_scrape_end"];
    for key in counts.into_iter().chain(untouched) {
        assert_eq!(newer[key], older[key], "{key}");
    }
    let after = snapshot(&place.cache());
    assert!(before.iter().all(|(path, file)| after.get(path) == Some(file)), "no board is touched");
}

#[test]
fn the_same_cache_gives_the_same_bytes_whatever_the_number_of_threads() {
    let Some(place) = unpacked() else { return };
    let loader = || place.loader(NOWHERE).argument("--cached-only");
    let first = loader().run().with_code(0);
    assert_eq!(first.json()["index"]["changed"], true);
    let bytes = exports(&place.cache());
    assert_eq!(loader().run().with_code(0).json()["index"]["changed"], false);
    assert_eq!(exports(&place.cache()), bytes);
    for name in EXPORTS {
        fs::remove_file(place.cache().join(name)).unwrap();
    }
    // The program takes as many threads as the processors that it may run on.
    let _ended = loader().on_one_processor().run().with_code(0);
    assert_eq!(exports(&place.cache()), bytes);
}
