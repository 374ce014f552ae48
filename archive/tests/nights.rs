//! Thirty nights of boards that a real loader fetched from r3e-sim: what the archive answers is what was published, and what slow,
//! obvious models of the questions say.
#![allow(clippy::disallowed_methods, reason = "tests look at the disk without the program's own code")]
#![allow(clippy::unwrap_used, reason = "all of this file is tests")]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use r3e_common::domain::{Catalog, Combination};
use r3e_tests::harness::{BoardFile, board_files, grid};
use r3e_tests::sim::{SimOptions, Simulator};
use serde_json::{Value, json};
use support::{Place, driver_id, lap_ms, night_time, verify};

const NIGHTS: i64 = 30;
/// Whether `board` is asked for each board and night, or in a debug build, where it takes minutes, for one night of each board.
const ASKS_EVERY_NIGHT: bool = !cfg!(debug_assertions);

/// What was published in a night.
type Night = BTreeMap<Combination, BoardFile>;

/// The loader as it ships, from the project's own workspace.
fn loader() -> PathBuf {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/r3e-loader"));
    assert!(path.is_file(), "{} is missing: run `cargo build --release` in the project's folder first", path.display());
    path
}

fn load(place: &Place, sim: &Simulator) {
    let mut command = place.command(&loader(), &["--quiet", "--catalog", "catalog.toml", "--cache", "cache"]);
    command.args(["--upstream", &sim.base_url(), "--requests-per-second", "1000"]);
    command.env("R3E_CACHE__MAX_AGE", "0s").env("R3E_UPSTREAM__RATINGS", "false");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", support::shown(&output));
}

/// A board as it was published each night, by night.
fn versions(nights: &[Night], board: Combination) -> impl Iterator<Item = (i64, &[String])> {
    let mut last: Option<&[String]> = None;
    (1..).zip(nights).filter_map(move |(night, boards)| {
        let entries = boards.get(&board).map(|it| it.entries.as_slice());
        let before = std::mem::replace(&mut last, entries);
        entries.filter(|_| before != entries).map(|it| (night, it))
    })
}

/// What r3e-sim puts into odd entries.
const HALF: &str = "\\ud800";

/// An entry as any JSON reader understands it; one without a driver's name tells nothing.
fn read(entry: &str) -> Value {
    // Half of a surrogate pair, which no text of Rust can hold, makes its text unreadable.
    let readable = || entry.replace(HALF, "\\u0000");
    let value: Value = serde_json::from_str(entry).or_else(|_| serde_json::from_str(&readable())).unwrap();
    if value["driver"]["name"].as_str().is_some_and(|it| !it.is_empty()) { value } else { json!({}) }
}

fn text(value: &Value) -> Value {
    value.as_str().filter(|it| !it.is_empty() && !it.contains('\0')).map_or(Value::Null, Into::into)
}

/// A time as the engine prints it in JSON.
fn printed(night: i64) -> String {
    night_time(night).trim_end_matches('Z').to_owned()
}

fn boards_are_as_published(place: &Place, nights: &[Night], catalog: &Catalog) {
    // One query gives what `board` gives for each version.
    let mut rows: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    for row in place.sql("SELECT * FROM entries ORDER BY position") {
        let board = format!("{}-{}", row["track_id"], row["class_id"]);
        rows.entry((board, row["observed_at"].as_str().unwrap().to_owned())).or_default().push(row);
    }
    for (number, board) in (0..).zip(catalog.combinations()) {
        for (night, entries) in versions(nights, board) {
            let recorded = rows.remove(&(board.to_string(), printed(night))).unwrap_or_default();
            let raw: Vec<&str> = recorded.iter().map(|it| it["entry"].as_str().unwrap()).collect();
            assert_eq!(raw, entries, "{board} in night {night}");
            for (position, (row, entry)) in (1..).zip(recorded.iter().zip(entries)) {
                let entry = read(entry);
                let found =
                    json!([row["position"], row["name"], row["driver_id"], row["laptime"], row["country"], row["car"]]);
                let car = text(&entry["car_class"]["car"]["name"]);
                let expected = json!([
                    position,
                    text(&entry["driver"]["name"]),
                    driver_id(&entry),
                    text(&entry["laptime"]),
                    text(&entry["country"]["name"]),
                    car
                ]);
                assert_eq!(found, expected, "{board} in night {night}");
                assert_eq!(row["laptime_ms"], json!(lap_ms(&entry)), "{entry}");
            }
        }
        for night in (1..=NIGHTS).filter(|night| ASKS_EVERY_NIGHT || *night == 1 + number * 7 % NIGHTS) {
            let day = &night_time(night)[..10];
            let asked = place.json(&["board", &board.to_string(), "--at", day]);
            let published = nights[usize::try_from(night).unwrap() - 1].get(&board);
            let published: Vec<Value> = published.iter().flat_map(|it| &it.entries).map(|it| read(it)).collect();
            let names = |rows: &[Value], name: fn(&Value) -> Value| rows.iter().map(name).collect::<Vec<_>>();
            let expected = names(&published, |it| json!([text(&it["driver"]["name"]), text(&it["laptime"])]));
            let asked = names(asked.as_array().unwrap(), |it| json!([it["name"], it["laptime"]]));
            assert_eq!(asked, expected, "{board} on {day}");
        }
    }
    assert_eq!(rows, BTreeMap::new(), "nothing else was recorded");
}

/// Each new best of a board: night, name, milliseconds, gain.
fn records_of(nights: &[Night], board: Combination) -> Vec<Value> {
    let mut best: Option<i64> = None;
    let mut records = Vec::new();
    for (night, entries) in versions(nights, board) {
        let Some(first) = entries.first().map(|it| read(it)) else { continue };
        let Some(ms) = lap_ms(&first) else { continue };
        if best.is_none_or(|best| ms < best) {
            records.push(json!([printed(night), text(&first["driver"]["name"]), ms, best.map(|best| best - ms)]));
            best = Some(ms);
        }
    }
    records
}

fn records_fall_as_modelled(place: &Place, nights: &[Night], catalog: &Catalog) {
    let mut fallen = 0;
    for board in catalog.combinations() {
        let expected = records_of(nights, board);
        let asked = place.json(&["records", &board.to_string()]);
        let row = |it: &Value| json!([it["observed_at"], it["name"], it["laptime_ms"], it["gain_ms"]]);
        let found: Vec<Value> = asked.as_array().unwrap().iter().map(row).collect();
        assert_eq!(found, expected, "{board}");
        fallen += expected.len().saturating_sub(1);
        // The page's file, if there is more than one version.
        let page = std::fs::read(place.path("cache/archive").join(format!("{board}.json")));
        if versions(nights, board).count() > 1 && !expected.is_empty() {
            let page: Value = serde_json::from_slice(&page.unwrap()).unwrap();
            let row = |it: &Value| {
                let observed = it["observed_at"].as_str().unwrap().trim_end_matches('Z');
                json!([observed, it["driver"], it["laptime_ms"], it["gain_ms"]])
            };
            assert_eq!(page["records"].as_array().unwrap().iter().map(row).collect::<Vec<_>>(), expected, "{board}");
        } else {
            assert!(page.is_err(), "{board} has one version");
        }
    }
    assert!(fallen > 10, "too few records fell to show anything: {fallen}");
}

/// Each change of a board since a night: night, board, size, change of the size, gain of the first; gone boards have no entries.
fn changes_since(nights: &[Night], catalog: &Catalog, since: i64) -> Vec<Value> {
    let mut changes = Vec::new();
    for board in catalog.combinations() {
        let mut last: Option<Option<&[String]>> = None;
        for (night, boards) in (1..).zip(nights) {
            let entries = boards.get(&board).map(|it| it.entries.as_slice());
            if entries.is_none() && last.is_none() || last == Some(entries) {
                continue;
            }
            let before = last.replace(entries).map(Option::unwrap_or_default);
            let now = entries.unwrap_or_default();
            let ms = |it: &[String]| it.first().and_then(|it| lap_ms(&read(it)));
            let size = |it: &[String]| i64::try_from(it.len()).unwrap();
            if night >= since {
                let gain = before.and_then(ms).zip(ms(now)).map(|(before, now)| before - now);
                let change = before.map(|it| size(now) - size(it));
                changes.push((night, board, json!([size(now), change, gain, entries.is_none()])));
            }
        }
    }
    changes.sort_by_key(|(night, board, _)| (*night, *board));
    changes.into_iter().map(|(night, board, rest)| json!([printed(night), board.to_string(), rest])).collect()
}

fn changes_are_as_modelled(place: &Place, nights: &[Night], catalog: &Catalog) {
    for since in [1, 2, 19, 20, 21, NIGHTS] {
        let asked = place.json(&["changes", "--since", &night_time(since)]);
        let row = |it: &Value| {
            let rest = json!([it["size"], it["size_change"], it["gain_ms"], it["gone"]]);
            json!([it["observed_at"], format!("{}-{}", it["track_id"], it["class_id"]), rest])
        };
        let found: Vec<Value> = asked.as_array().unwrap().iter().map(row).collect();
        assert_eq!(found, changes_since(nights, catalog, since), "since night {since}");
    }
}

/// Each lap time of the drivers that `is_wanted` names: board, night, driver, position, milliseconds, gain.
fn laps_of(nights: &[Night], catalog: &Catalog, is_wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut laps = Vec::new();
    for board in catalog.combinations() {
        let mut last: BTreeMap<Option<u64>, Option<i64>> = BTreeMap::new();
        for (night, entries) in versions(nights, board) {
            for (position, entry) in
                (1..).zip(entries).map(|(position, it)| (position, read(it))).filter(|(_, it)| is_wanted(it))
            {
                let (id, ms) = (driver_id(&entry), lap_ms(&entry));
                if ms.is_none() {
                    continue;
                }
                let before = last.insert(id, ms).flatten();
                if before.is_none() || ms.is_some() && ms != before {
                    let gain = before.zip(ms).map(|(before, ms)| before - ms);
                    laps.push(json!([board.to_string(), printed(night), id, position, ms, gain]));
                }
            }
        }
    }
    laps.sort_by_key(Value::to_string);
    laps
}

fn drivers_progress_as_modelled(place: &Place, nights: &[Night], catalog: &Catalog) {
    let mut wanted: Vec<Value> = nights[0].values().flat_map(|it| &it.entries).take(200).map(|it| read(it)).collect();
    wanted.retain(|it| it["driver"]["name"].is_string());
    for driver in wanted.iter().step_by(20) {
        let row = |it: &Value| {
            let board = format!("{}-{}", it["track_id"], it["class_id"]);
            json!([board, it["observed_at"], it["driver_id"], it["position"], it["laptime_ms"], it["gain_ms"]])
        };
        let sorted = |asked: &Value| {
            let mut rows: Vec<Value> = asked.as_array().unwrap().iter().map(row).collect();
            rows.sort_by_key(Value::to_string);
            rows
        };
        let name = driver["driver"]["name"].as_str().unwrap();
        let by_name = laps_of(nights, catalog, |it| {
            it["driver"]["name"].as_str().is_some_and(|it| it.to_lowercase() == name.to_lowercase())
        });
        assert_eq!(sorted(&place.json(&["driver", &name.to_lowercase()])), by_name, "{name}");
        if let Some(id) = driver_id(driver) {
            let by_id = laps_of(nights, catalog, |it| driver_id(it) == Some(id));
            assert_eq!(sorted(&place.json(&["driver", "--id", &id.to_string()])), by_id, "{id}");
        }
    }
}

fn restored_boards_are_those_of_the_night(place: &Place, nights: &[Night]) {
    for night in [1, 8, 15, 22, NIGHTS] {
        let into = format!("restored-{night}-{}", nights.len());
        let _missing = std::fs::remove_dir_all(place.path(&into));
        place.run(&["restore", "--at", &night_time(night)[..10], "--into", &into]);
        let restored = board_files(&place.path(&into));
        let content = |it: &Night| -> BTreeMap<Combination, (String, Vec<String>)> {
            it.iter().map(|(board, it)| (*board, (it.name.clone(), it.entries.clone()))).collect()
        };
        assert_eq!(content(&restored), content(&nights[usize::try_from(night).unwrap() - 1]), "night {night}");
        let arguments = ["--quiet", "--catalog", "catalog.toml", "--cache", &into, "--cached-only"];
        let loaded = place.command(&loader(), &arguments).output().unwrap();
        assert!(loaded.status.success(), "{}", support::shown(&loaded));
        let again = place.archive(&["restore", "--at", "2025-10-01", "--into", &into]).output().unwrap();
        assert_eq!(again.status.code(), Some(2), "a folder with files is left alone: {}", support::shown(&again));
    }
}

#[test]
fn thirty_nights_are_kept_as_they_were_published() {
    let catalog = grid(4, 5);
    let place = Place::new();
    std::fs::write(place.path("catalog.toml"), catalog.to_toml()).unwrap();
    let options = SimOptions {
        catalog: catalog.clone(),
        entries: 900,
        drivers: 120,
        odd_rate: 0.05,
        nameless_rate: 0.02,
        ..SimOptions::default()
    };
    let sim = Simulator::start(options).unwrap();
    let boards: Vec<Combination> = catalog.combinations().collect();
    let mut nights: Vec<Night> = Vec::new();
    for night in 1..=NIGHTS {
        let change = |it: &usize| (it * 31 + usize::try_from(night).unwrap() * 17) % 10 < 3;
        for number in (0..boards.len()).filter(change) {
            sim.change_board(boards[number]).unwrap();
        }
        load(&place, &sim);
        if night == 20 {
            std::fs::remove_file(place.cache().board_path(boards[3])).unwrap();
        }
        nights.push(board_files(&place.path("cache")));
        let recorded = place.json(&["record", "--at", &night_time(night), "--catalog", "catalog.toml"]);
        let before = nights.len().checked_sub(2).map(|it| &nights[it]);
        let entries = |it: Option<&BoardFile>| it.map(|it| it.entries.clone());
        let changed = boards.iter().filter(|board| {
            entries(before.and_then(|it| it.get(board))) != entries(nights[nights.len() - 1].get(board))
        });
        assert_eq!(recorded["boards"], json!(changed.count()), "night {night}: {recorded}");
        let again = place.json(&["record", "--at", &night_time(night), "--catalog", "catalog.toml"]);
        assert_eq!((&again["file"], &again["boards"]), (&Value::Null, &json!(0)), "nothing is recorded twice");
    }
    for compacted in [false, true] {
        if compacted {
            let merged = place.json(&["compact", "--keep", "0s"]);
            assert_eq!(merged["recordings"], json!(NIGHTS), "{merged}");
            let files = place.json(&["stats", "--files"]);
            assert_eq!(files.as_array().unwrap().len(), 1, "{files}");
            let folders: Vec<_> =
                std::fs::read_dir(&place.archive).unwrap().map(|it| it.unwrap().file_name()).collect();
            assert!(!folders.iter().any(|it| it.to_string_lossy().starts_with("night=")), "{folders:?}");
        }
        verify(&place);
        boards_are_as_published(&place, &nights, &catalog);
        records_fall_as_modelled(&place, &nights, &catalog);
        drivers_progress_as_modelled(&place, &nights, &catalog);
        changes_are_as_modelled(&place, &nights, &catalog);
        restored_boards_are_those_of_the_night(&place, &nights);
        let stats = place.json(&["stats"]);
        let versions: usize = boards.iter().map(|it| versions(&nights, *it).count()).sum();
        // One board vanished for a night.
        assert_eq!((&stats["nights"], &stats["versions"]), (&json!(NIGHTS), &json!(versions + 1)), "{stats}");
        let totals: Value =
            serde_json::from_slice(&std::fs::read(place.path("cache/archive/status.json")).unwrap()).unwrap();
        assert_eq!((&totals["rows"], &totals["versions"]), (&stats["rows"], &stats["versions"]));
    }
}
