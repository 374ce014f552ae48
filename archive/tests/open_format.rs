//! The archive is an open format: other engines read it without us.
#![allow(clippy::disallowed_methods, reason = "tests look at the disk without the program's own code")]
#![allow(clippy::unwrap_used, reason = "all of this file is tests")]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::{Boards, Place, World, lap_ms, moto, night_time, shown};

/// What `DuckDB` and `DataFusion`'s Python package find in the files that count.
fn found(python: &Path, place: &Place, board: &str) -> Value {
    let files = place.json(&["stats", "--files"]);
    let files = files.as_array().unwrap().iter().map(|it| it.as_str().unwrap());
    let (track, class) = board.split_once('-').unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/open_format.py");
    let output = Command::new(python).arg(script).args([&place.archive, track, class]).args(files).output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn duckdb_and_datafusion_read_an_archive() {
    let Some(python) = moto::python("duckdb_and_datafusion_read_an_archive") else { return };
    let place = Place::new();
    let mut world = World::new(31, 25);
    let (mut before, mut rows, mut versions) = (Boards::new(), 0, 0);
    for night in 1..=35 {
        for board in before.keys().chain(world.boards.keys().filter(|it| !before.contains_key(it))) {
            if before.get(board) != world.boards.get(board) {
                versions += 1;
                rows += world.boards.get(board).map_or(0, Vec::len);
            }
        }
        before = world.boards.clone();
        place.publish(&world.boards);
        place.record(&night_time(night));
        world.night();
    }
    let (board, entries) = before.iter().max_by_key(|it| it.1.len()).unwrap();
    let expected: Vec<Value> =
        (1..).zip(entries).map(|(position, it)| json!([position, it["driver"]["name"], lap_ms(it)])).collect();
    for compacted in [false, true] {
        let found = found(&python, &place, &board.to_string());
        for engine in ["duckdb", "datafusion"] {
            let tables = found[engine].as_object().unwrap();
            assert_eq!(tables.contains_key("nights"), !compacted, "{engine}");
            for (table, answers) in tables {
                assert_eq!(answers["rows"], json!([[rows]]), "{engine}: {table}");
                assert_eq!(answers["versions"], json!([[versions]]), "{engine}: {table}");
                let latest = answers["latest"].as_array().unwrap();
                let latest: Vec<Value> = latest.iter().map(|it| json!([it[0], it[1], it[2]])).collect();
                assert_eq!(latest, expected, "{engine}: {table}");
                assert!(compacted || table != "nights" || answers["nights"] == json!([[35]]), "{engine}: {answers}");
            }
        }
        place.run(&["compact", "--keep", "0s"]);
    }
}
