//! JSON read in the plain way, as a tree: slower than the programs do it, and hard to get wrong.

use std::borrow::Cow;
use std::collections::BTreeMap;

use r3e_common::domain::{Driver, Entry, seconds_behind};
use serde_json::{Value, json};

/// The text as a tree. There is none of some texts that the programs read: with half a surrogate pair, with numbers
/// beyond a double, or nested deeper than 128.
pub fn tree(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// How deep objects and arrays stand inside one another.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// What [`Entry::read`] has to make of an entry.
pub fn entry(value: &Value) -> Option<Entry<'_>> {
    let text = |path: &[&str]| {
        let found = path.iter().try_fold(value, |value, key| value.get(key));
        Cow::Borrowed(found.and_then(Value::as_str).unwrap_or_default())
    };
    let entry = Entry {
        driver: Driver {
            name: text(&["driver", "name"]),
            path: text(&["driver", "path"]),
            avatar: text(&["driver", "avatar"]),
        },
        country: text(&["country", "name"]),
        car: text(&["car_class", "car", "name"]),
        car_class: text(&["car_class", "car", "class-name"]),
        laptime: text(&["laptime"]),
        relative_laptime: text(&["relative_laptime"]),
        rank: text(&["rank"]),
        team: text(&["team"]),
        difficulty: text(&["driving_model"]),
        date_time: text(&["date_time"]),
        index: value.get("index").and_then(whole_number),
    };
    (!entry.driver.name.is_empty()).then_some(entry)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "range and fraction are checked before")]
fn whole_number(value: &Value) -> Option<u32> {
    let number = value.as_f64()?;
    let whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    whole.then_some(number as u32)
}

/// The driver index of one board: each key in lower case, its results by position.
pub fn driver_index(track: &str, ids: (u32, u32), entries: &[Option<Entry<'_>>]) -> BTreeMap<String, Vec<Value>> {
    let mut by_key: BTreeMap<String, Vec<&Entry<'_>>> = BTreeMap::new();
    for entry in entries.iter().flatten() {
        by_key.entry(entry.driver.name.to_lowercase()).or_default().push(entry);
    }
    let position = |entry: &Entry<'_>| entry.index.map_or(1, |index| index.saturating_add(1));
    let result = |entry: &Entry<'_>| {
        json!({
            "name": entry.driver.name, "position": position(entry), "laptime": entry.laptime,
            "time_diff": seconds_behind(&entry.relative_laptime), "country": entry.country, "car": entry.car,
            "car_class": entry.car_class, "team": entry.team, "rank": entry.rank, "difficulty": entry.difficulty,
            "track": track, "track_id": ids.0.to_string(), "class_id": ids.1.to_string(),
            "date_time": entry.date_time, "found": true, "total_entries": entries.len(),
        })
    };
    let results = |mut entries: Vec<&Entry<'_>>| {
        entries.sort_by_key(|entry| position(entry));
        entries.into_iter().map(result).collect()
    };
    by_key.into_iter().map(|(key, entries)| (key, results(entries))).collect()
}
