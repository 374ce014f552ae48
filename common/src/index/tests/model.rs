//! A slow and simple model of today's files: it reads all boards as JSON into memory and derives each file from them separately.

mod names;
mod statistics;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use flate2::bufread::GzDecoder;
use serde_json::{Value, json};

use super::*;
use names::{alias, id, key, shard};

/// Time, then the position in the catalogue and on the board; the greatest is the newest.
type Age = (Option<jiff::Timestamp>, std::cmp::Reverse<(usize, u64, String, usize)>);

/// A result.
#[derive(Debug, Clone)]
struct Hit {
    name: String,
    id: String,
    age: Age,
    board: usize,
    position: u64,
    place: usize,
    raw: Value,
    total: usize,
    track_id: String,
    class_id: String,
}

impl Hit {
    fn text(&self, pointer: &str) -> &str {
        self.raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

fn time(text: &str) -> Option<jiff::Timestamp> {
    let utc = |text: &str| format!("{text}Z").parse().ok();
    if text.contains('/') {
        let (date, time) = text.split_once(' ')?;
        let [month, day, year] = date.split('/').collect::<Vec<_>>()[..] else { return None };
        return utc(&format!("{year}-{month}-{day}T{time}"));
    }
    text.parse().ok().or_else(|| utc(text))
}

/// All results on valid boards, in catalogue order, then as on the board.
fn hits(world: &World) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (board, it) in world.catalog.combinations().enumerate() {
        let Ok(file) = std::fs::read(world.cache.board_path(it)) else { continue };
        let mut text = String::new();
        GzDecoder::new(file.as_slice()).read_to_string(&mut text).unwrap();
        // Of a repeated key, the last one counts, as in the index.
        let Ok(whole) = serde_json::from_str::<Value>(&text) else { continue };
        let data = whole["track_info"]["Data"].as_array().cloned().unwrap_or_default();
        let total = data.len();
        for (place, raw) in data.into_iter().enumerate() {
            let Some(name) = raw.pointer("/driver/name").and_then(Value::as_str).map(str::to_owned) else { continue };
            let position = raw["index"].as_u64().map_or(1, |index| index + 1);
            let path = raw.pointer("/driver/path").and_then(Value::as_str).unwrap_or_default();
            let last = (board, position, name.to_lowercase(), place);
            hits.push(Hit {
                id: id(&name, path),
                age: (time(raw["date_time"].as_str().unwrap_or_default()), std::cmp::Reverse(last)),
                board,
                position,
                place,
                total,
                track_id: it.track.to_string(),
                class_id: it.class.to_string(),
                name,
                raw,
            });
        }
    }
    hits
}

/// The results of each id, and the newest of them, except ids whose newest name has no key.
fn drivers(hits: &[Hit]) -> Drivers {
    let ids: BTreeSet<&String> = hits.iter().map(|it| &it.id).collect();
    let of_id = |id: &String| {
        let own: Vec<Hit> = hits.iter().filter(|it| it.id == *id).cloned().collect();
        let newest = own.iter().max_by_key(|it| it.age.clone()).unwrap().clone();
        (id.clone(), (own, newest))
    };
    ids.into_iter().map(of_id).filter(|(_, (_, newest))| !key(&newest.name).is_empty()).collect()
}

/// Numbers by value, then everything else.
fn by_id(id: &str) -> (bool, u128, String) {
    let number = id.parse::<u128>().ok().filter(|_| id.bytes().all(|it| it.is_ascii_digit()));
    (number.is_none(), number.unwrap_or(0), id.to_owned())
}

fn identity(id: &str, newest: &Hit) -> Value {
    json!({"name": newest.name, "path_id": id, "avatar": newest.text("/driver/avatar"),
        "country": newest.text("/country/name"), "team": newest.text("/team"), "rank": newest.text("/rank")})
}

/// Today's files for a world, as JSON by name.
fn expected(world: &World) -> BTreeMap<String, Value> {
    let drivers = drivers(&hits(world));
    let mut files = BTreeMap::new();
    for letter in ('a'..='z').chain(['_']) {
        files.insert(format!("index/entries/{letter}.json.gz"), json!({}));
        files.insert(format!("index/metadata/{letter}.json.gz"), json!({}));
    }
    let keys: BTreeSet<String> = drivers.values().map(|(_, newest)| key(&newest.name)).collect();
    let mut names = BTreeSet::new();
    for of_key in keys {
        let mut same: Vec<_> = drivers.iter().filter(|(_, (_, newest))| key(&newest.name) == of_key).collect();
        same.sort_by_key(|(id, _)| by_id(id));
        names.insert(of_key.clone());
        names.extend(same.iter().map(|(_, (_, newest))| alias(&newest.name)));
        let identities: Vec<Value> = same.iter().map(|(id, (_, newest))| identity(id, newest)).collect();
        let mut entries: Vec<&Hit> = same.iter().flat_map(|(_, (hits, _))| hits).collect();
        entries.sort_by_key(|it| (it.board, it.position, it.place));
        let entry = |it: &&Hit| {
            json!({"path_id": it.id, "position": it.position, "laptime": it.text("/laptime"),
                "car": it.text("/car_class/car/name"), "car_class": it.text("/car_class/car/class-name"),
                "difficulty": it.text("/driving_model"), "track_id": it.track_id, "class_id": it.class_id,
                "date_time": it.text("/date_time"), "total_entries": it.total})
        };
        let letter = shard(&of_key);
        let entries = entries.iter().map(entry).collect();
        files.get_mut(&format!("index/entries/{letter}.json.gz")).unwrap()[&of_key] = Value::Array(entries);
        files.get_mut(&format!("index/metadata/{letter}.json.gz")).unwrap()[&of_key] = Value::Array(identities);
    }
    files.insert("index/mirror.json.gz".to_owned(), json!(names));
    files.insert("index/teams.json.gz".to_owned(), teams(&drivers));
    statistics::add(world, &drivers, &mut files);
    files
}

type Drivers = BTreeMap<String, (Vec<Hit>, Hit)>;

/// The newest text at `pointer` that is not empty.
fn newest(hits: &[Hit], pointer: &str) -> String {
    let having = hits.iter().filter(|it| !it.text(pointer).is_empty());
    having.max_by_key(|it| it.age.clone()).map(|it| it.text(pointer).to_owned()).unwrap_or_default()
}

fn teams(drivers: &Drivers) -> Value {
    let mut members: BTreeMap<String, Vec<(String, String, String)>> = BTreeMap::new();
    for (id, (hits, shown)) in drivers {
        let team = newest(hits, "/team");
        if !team.is_empty() && team.to_lowercase() != "privateer" {
            let member = (shown.name.clone(), id.clone(), newest(hits, "/country/name"));
            members.entry(team).or_default().push(member);
        }
    }
    let mut teams = json!({});
    for (team, mut members) in members {
        members.sort_by_key(|(name, id, _)| (name.clone(), by_id(id)));
        let known: Vec<&String> = members.iter().map(|(.., country)| country).filter(|it| !it.is_empty()).collect();
        let count = |country: &String| known.iter().filter(|it| **it == country).count();
        let country = known.iter().find(|it| count(it) * 2 > known.len()).map_or("Various", |it| it.as_str());
        let drivers: Vec<Value> = members.iter().map(|(name, id, _)| json!({"name": name, "path_id": id})).collect();
        teams[team] = json!({"country": country, "drivers": drivers});
    }
    teams
}

fn unpacked(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, String> {
    let text = |(name, bytes): (&String, &Vec<u8>)| {
        let mut text = String::new();
        let mut decoder = GzDecoder::new(bytes.as_slice());
        decoder.read_to_string(&mut text).unwrap();
        assert!(decoder.into_inner().is_empty(), "one member: {name}");
        (name.clone(), text)
    };
    let is_gzip = |name: &String| Path::new(name).extension().is_some_and(|it| it == "gz");
    let plain = files.iter().filter(|(name, _)| !is_gzip(name));
    let plain = plain.map(|(name, bytes)| (name.clone(), String::from_utf8(bytes.clone()).unwrap()));
    files.iter().filter(|(name, _)| is_gzip(name)).map(text).chain(plain).collect()
}

/// Whether the keys of an object are sorted as written.
fn is_sorted(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Keys(#[serde(deserialize_with = "keys")] Vec<String>);
    fn keys<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        struct InOrder;
        impl<'de> serde::de::Visitor<'de> for InOrder {
            type Value = Vec<String>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, serde::de::IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(keys)
            }
        }
        from.deserialize_map(InOrder)
    }
    serde_json::from_str::<Keys>(text).unwrap().0.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes())
}

/// Checks that the exported files of a world equal those of the model.
pub(super) fn check(world: &World, index: &Index) {
    let files = unpacked(&index.0);
    let expected = expected(world);
    let is_listed = |name: &&String| name.starts_with("stats/") || name.starts_with("index/");
    assert!(files.keys().filter(is_listed).eq(expected.keys()), "{:?}", files.keys());
    for (name, expected) in expected {
        let text = files.get(&name).unwrap_or_else(|| panic!("{name} is missing: {:?}", files.keys()));
        let found: Value = serde_json::from_str(text).unwrap();
        assert_eq!(found, expected, "{name}");
        assert!(!name.starts_with("index/") || !expected.is_object() || is_sorted(text), "{name}");
    }
}
