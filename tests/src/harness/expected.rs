//! Checks an index against what the simulator serves.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use r3e_common::domain::Combination;
use serde::Deserialize;
use serde_json::Value;

use super::index::{DriverIndex, Row};
use crate::sim::{ServedEntry, World};

/// The differences allowed between an index and what is served.
#[derive(Debug, Default)]
pub struct Differences {
    /// Boards that are not in the cache, because they failed.
    pub missing: BTreeSet<Combination>,
}

/// One row of an index, as far as the world determines it.
type Line = (String, u32, u32, String, u32);

/// Checks that every served entry with a driver name is in the index exactly once, under its name in lower case, with its
/// position, board and the board's number of entries, and nothing else; that results are in catalogue order and then by
/// position; and, for entries with nothing odd about them, every other field.
///
/// # Panics
/// If an entry is missing, duplicated, invented, misplaced or wrong.
#[track_caller]
pub fn assert_serves(index: &DriverIndex, world: &World, differences: &Differences) {
    let catalog = world.catalog();
    let place = |row: &Row| {
        let board = row.board().parse().unwrap();
        catalog.ordinal(board).unwrap_or_else(|| panic!("{board} is not in the catalogue")).0
    };
    let mut found: BTreeMap<Line, Vec<&Row>> = BTreeMap::new();
    for (key, rows) in &index.0 {
        let order: Vec<_> = rows.iter().map(|row| (place(row), row.position)).collect();
        assert!(order.is_sorted(), "{key:?}: catalogue order, then position: {order:?}");
        for row in rows {
            assert_eq!(*key, row.name.to_lowercase(), "the key of {:?}", row.name);
            let line = (row.name.clone(), place(row), row.position, row.track.clone(), row.total_entries);
            found.entry(line).or_default().push(row);
        }
    }
    for board in world.boards().filter(|board| !differences.missing.contains(&board.combination())) {
        let combination = board.combination();
        let ordinal = catalog.ordinal(combination).unwrap();
        let track = &catalog.at(ordinal).unwrap().0.name;
        for entry in board.entries() {
            let Some(name) = &entry.name else { continue };
            let position = entry.index.map_or(1, |index| index + 1);
            let line = (name.clone(), ordinal.0, position, track.clone(), board.len());
            if !found.contains_key(&line) {
                let of_board: Vec<_> = found.keys().filter(|(_, place, ..)| *place == ordinal.0).take(5).collect();
                panic!("{combination}: lost {line:?}; the index has of this board {of_board:?}");
            }
            let rows = found.get_mut(&line).unwrap();
            check_fields(rows, &entry);
            if rows.is_empty() {
                found.remove(&line);
            }
        }
    }
    assert!(found.is_empty(), "{} that nobody serves, such as {:?}", found.len(), found.first_key_value());
}

/// Removes the row that matches the entry from the candidates.
fn check_fields(rows: &mut Vec<&Row>, entry: &ServedEntry) {
    if entry.oddity.is_some() {
        rows.pop();
        return;
    }
    let fields: Fields = serde_json::from_str(&entry.json).unwrap();
    let Some(place) = rows.iter().position(|row| fields.are_those_of(row)) else {
        panic!("none of {rows:?} tells {}", entry.json);
    };
    rows.remove(place);
}

/// The fields of an entry that go into the index beside the driver's.
#[derive(Deserialize)]
struct Fields {
    country: Value,
    car_class: Value,
    laptime: String,
    relative_laptime: String,
    rank: String,
    team: String,
    driving_model: String,
    date_time: String,
}

impl Fields {
    fn are_those_of(&self, row: &Row) -> bool {
        let car = &self.car_class["car"];
        let texts = [&row.laptime, &row.rank, &row.team, &row.difficulty, &row.date_time];
        texts == [&self.laptime, &self.rank, &self.team, &self.driving_model, &self.date_time]
            && [&self.country["name"], &car["name"], &car["class-name"]] == [&*row.country, &row.car, &row.car_class]
            && (row.time_diff - seconds(&self.relative_laptime)).abs() < 1e-9
    }
}

/// `"+01.887s"`, `"+1m 02.345s"` or nothing, in seconds.
fn seconds(text: &str) -> f64 {
    let Some(text) = text.strip_prefix('+').and_then(|text| text.strip_suffix('s')) else { return 0.0 };
    let (minutes, seconds) = text.split_once("m ").unwrap_or(("0", text));
    minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
}
