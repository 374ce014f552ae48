//! Today's files as a slow, obvious program makes them: all boards as JSON in memory, and one question after another to them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use flate2::bufread::GzDecoder;
use serde_json::{Value, json};

use super::*;

/// Time, then the place in the catalogue and on the board, so that the greatest is the newest.
type Age = (Option<jiff::Timestamp>, std::cmp::Reverse<(usize, u64, String, usize)>);

/// A result, and all that is needed of it.
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

const FOLDED: [(&str, char); 24] = [
    ("ÀÁÂÃÄÅÆ", 'A'),
    ("Ç", 'C'),
    ("ÐĎĐ", 'D'),
    ("ÈÉÊË", 'E'),
    ("ÌÍÎÏ", 'I'),
    ("Ñ", 'N'),
    ("ÒÓÔÕÖØŒ", 'O'),
    ("ÙÚÛÜ", 'U'),
    ("Ý", 'Y'),
    ("Š", 'S'),
    ("ŤÞ", 'T'),
    ("Ž", 'Z'),
    ("àáâãäåæ", 'a'),
    ("ç", 'c'),
    ("ðďđ", 'd'),
    ("èéêë", 'e'),
    ("ìíîï", 'i'),
    ("ñ", 'n'),
    ("òóôõöøœ", 'o'),
    ("ùúûü", 'u'),
    ("ýÿ", 'y'),
    ("š", 's'),
    ("ťþ", 't'),
    ("ž", 'z'),
];

fn lower(text: &str) -> String {
    text.chars().map(|c| if c == 'İ' { 'i' } else { c.to_lowercase().next().unwrap() }).collect()
}

fn alias(name: &str) -> String {
    let spaced: String = name.chars().map(|c| if "\t\n\u{c}\r".contains(c) { ' ' } else { c }).collect();
    let parts: Vec<&str> = spaced.split(' ').collect();
    let mut collapsed = String::new();
    for (number, part) in parts.iter().enumerate() {
        if number > 0 && !(part.is_empty() && number + 1 < parts.len()) {
            collapsed.push(' ');
        }
        collapsed.push_str(part);
    }
    lower(collapsed.trim())
}

fn key(name: &str) -> String {
    let fold = |c: char| FOLDED.iter().find(|(from, _)| from.contains(c)).map_or(c, |(_, to)| *to);
    alias(&name.chars().map(fold).collect::<String>())
}

fn shard(key: &str) -> char {
    key.chars().next().filter(char::is_ascii_lowercase).unwrap_or('_')
}

fn id(name: &str, path: &str) -> String {
    let mut digits: Vec<char> = path.trim_end_matches('/').chars().rev().take_while(char::is_ascii_digit).collect();
    digits.reverse();
    if digits.is_empty() { lower(name) } else { digits.into_iter().collect() }
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

/// All results on whole boards, in the order of the catalogue and on the boards.
fn hits(world: &World) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (board, it) in world.catalog.combinations().enumerate() {
        let Ok(file) = std::fs::read(world.cache.board_path(it)) else { continue };
        let mut text = String::new();
        GzDecoder::new(file.as_slice()).read_to_string(&mut text).unwrap();
        // Of a key that stands twice, the last one counts here too.
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

/// Of each id, its results and the newest of them; without those whose newest name has no key.
fn drivers(hits: &[Hit]) -> Drivers {
    let ids: BTreeSet<&String> = hits.iter().map(|it| &it.id).collect();
    let of_id = |id: &String| {
        let own: Vec<Hit> = hits.iter().filter(|it| it.id == *id).cloned().collect();
        let newest = own.iter().max_by_key(|it| it.age.clone()).unwrap().clone();
        (id.clone(), (own, newest))
    };
    ids.into_iter().map(of_id).filter(|(_, (_, newest))| !key(&newest.name).is_empty()).collect()
}

/// Numbers by their value, and then all else.
fn by_id(id: &str) -> (bool, u128, String) {
    let number = id.parse::<u128>().ok().filter(|_| id.bytes().all(|it| it.is_ascii_digit()));
    (number.is_none(), number.unwrap_or(0), id.to_owned())
}

fn identity(id: &str, newest: &Hit) -> Value {
    json!({"name": newest.name, "path_id": id, "avatar": newest.text("/driver/avatar"),
        "country": newest.text("/country/name"), "team": newest.text("/team"), "rank": newest.text("/rank")})
}

/// All of today's files of a world, as JSON by name.
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
    statistics(world, &drivers, &mut files);
    files
}

type Drivers = BTreeMap<String, (Vec<Hit>, Hit)>;

/// The text of the newest of the results that have one there.
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

/// A driver's figures in a scope.
#[derive(Debug, Clone, Default)]
struct Figures {
    id: String,
    name: String,
    entries: u64,
    poles: u64,
    podiums: u64,
    bested: u64,
    shares: Vec<f64>,
}

impl Figures {
    fn average(&self) -> f64 {
        if self.shares.is_empty() {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "few boards")]
        let raw = self.shares.iter().fold(0.0, |sum, share| sum + share) / self.shares.len() as f64 * 100.0;
        let decimals = if raw == 0.0 || raw >= 0.01 { 2 } else { 4 };
        let power = 10_f64.powi(decimals);
        let (whole, sign) = ((raw.abs() * power).round(), if raw < 0.0 { -1.0 } else { 1.0 });
        if whole == 0.0 { 0.0 } else { sign * whole / power }
    }
}

fn figures(drivers: &Drivers, wanted: impl Fn(&Hit) -> bool) -> Vec<Figures> {
    let mut all = Vec::new();
    for (id, (hits, newest)) in drivers {
        let mut hits: Vec<&Hit> = hits.iter().filter(|it| wanted(it)).collect();
        hits.sort_by_key(|it| (it.board, it.position, it.place));
        let mut it = Figures { id: id.clone(), name: newest.name.clone(), ..Figures::default() };
        for hit in &hits {
            let (p, n) = (hit.position, hit.total as u64);
            it.entries += 1;
            it.poles += u64::from(p == 1 && n >= 2);
            it.podiums += u64::from(p <= 3 && n >= 4);
            it.bested += n.saturating_sub(p);
            if n >= 2 {
                #[expect(clippy::cast_precision_loss, reason = "small boards")]
                it.shares.push((n as f64 - p as f64) / (n as f64 - 1.0));
            }
        }
        if !hits.is_empty() {
            all.push(it);
        }
    }
    all
}

fn list(
    files: &mut BTreeMap<String, Value>,
    drivers: &Drivers,
    (path, kind, id, name): (&str, &str, &str, &str),
    figures: &[Figures],
    limit: usize,
    admits: impl Fn(&Figures, bool) -> bool,
) -> Value {
    let mut named = json!({});
    for metric in ["pole", "bested", "podium", "avg_bested", "entries"] {
        let mut rows: Vec<&Figures> = figures
            .iter()
            .filter(|it| match metric {
                "pole" => it.poles > 0,
                "bested" => it.bested > 0,
                "podium" => it.podiums > 0,
                "avg_bested" => !it.shares.is_empty(),
                _ => true,
            })
            .filter(|it| admits(it, metric == "avg_bested"))
            .collect();
        rows.sort_by(|a, b| {
            let (average, entries) = (b.average().partial_cmp(&a.average()).unwrap(), b.entries.cmp(&a.entries));
            let (poles, bested) = (b.poles.cmp(&a.poles), b.bested.cmp(&a.bested));
            let order = match metric {
                "pole" => [poles, bested, poles],
                "bested" => [bested, poles, poles],
                "podium" => [b.podiums.cmp(&a.podiums), poles, poles],
                "avg_bested" => [average, entries, bested],
                _ => [entries, average, bested],
            };
            order[0].then(order[1]).then(order[2]).then((&a.name, &a.id).cmp(&(&b.name, &b.id)))
        });
        rows.truncate(limit);
        let row = |it: &&Figures| {
            let newest = &drivers[&it.id].1;
            json!({"driver_key": it.id, "name": it.name, "avatar": newest.text("/driver/avatar"),
                "country": newest.text("/country/name"), "team": newest.text("/team"), "rank": newest.text("/rank"),
                "pole_positions": it.poles, "bested_drivers": it.bested, "podiums": it.podiums,
                "avg_bested": it.average(), "entries": it.entries})
        };
        let file = format!("{path}_{metric}.json.gz");
        let rows: Vec<Value> = rows.iter().map(row).collect();
        let list = json!({"scope_type": kind, "scope_id": id, "scope_name": name, "sort_by": metric,
            "count": rows.len(), "updated_at": "1970-01-01T00:00:00Z", "results": rows});
        files.insert(file.clone(), list);
        named[format!("{metric}_file")] = json!(format!("cache/{file}"));
    }
    named
}

fn statistics(world: &World, drivers: &Drivers, files: &mut BTreeMap<String, Value>) {
    let all = figures(drivers, |_| true);
    let overall = ("stats/overall/overall", "overall", "overall", "Overall");
    let overall = list(files, drivers, overall, &all, usize::MAX, |_, _| true);
    let top = ("stats/overall/overall_top", "overall", "overall_top", "Overall");
    let top = list(files, drivers, top, &all, 500, |it, average| !average || it.entries >= 5 && it.bested >= 100);
    let (mut classes, mut superclasses) = (Vec::new(), Vec::new());
    let mut scopes: Vec<(String, String, String, Vec<String>)> = Vec::new();
    for class in world.catalog.classes() {
        let id = class.id.to_string();
        scopes.push((format!("stats/classes/{id}"), id.clone(), class.name.clone(), vec![id]));
    }
    let gt3 = vec!["2922".to_owned(), "1703".to_owned()];
    scopes.push(("stats/superclasses/gt3".to_owned(), "GT3".to_owned(), "GT3".to_owned(), gt3));
    scopes.sort_by_key(|(_, id, ..)| id.clone());
    for (path, id, name, of) in scopes {
        let figures = figures(drivers, |it| of.contains(&it.class_id));
        if figures.is_empty() {
            continue;
        }
        let kind = if id == "GT3" { "superclass" } else { "class" };
        let admits = |it: &Figures, average: bool| it.entries >= 2 && (!average || it.bested >= 10);
        let named = list(files, drivers, (&path, kind, &id, &name), &figures, 1000, admits);
        let count = figures.iter().filter(|it| it.poles > 0).count();
        let into = if kind == "class" { &mut classes } else { &mut superclasses };
        into.push(json!({"id": id, "name": name, "files": named, "count": count}));
    }
    let manifest = json!({"updated_at": "1970-01-01T00:00:00Z", "overall": overall, "overall_top": top,
        "classes": classes, "superclasses": superclasses});
    files.insert("stats/index.json".to_owned(), manifest);
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

/// Keys of an object as the text has them.
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

/// The files that a world is exported to are those that the model makes.
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
