//! A board file, whoever wrote it: what is accepted is what stands in it, survives being written again, and makes an
//! index.

use std::io::Write as _;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use r3e_common::domain::Validators;
use r3e_common::domain::{Catalog, ClassId, Combination, Entry, TrackId, json};
use r3e_common::index;
use r3e_common::runtime::fs;
use r3e_common::store::{BoardEncoder, Damage, Entries, fuzzing};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::model;

/// The board that files are expected to hold; the catalogue has it.
pub const BOARD: Combination = match (TrackId::new(1693), ClassId::new(1703)) {
    (Some(track), Some(class)) => Combination { track, class },
    _ => panic!("ids are positive"),
};

/// How much of a file is looked at for its version.
const BEGINNING: usize = 4096;

/// The most characters of a message.
const LONGEST_MESSAGE: usize = 300;

static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::builtin);

/// The entries of a board, in order.
#[derive(Debug, Default)]
struct Collected<'a>(Vec<&'a RawValue>);

impl<'a> Entries<'a> for Collected<'a> {
    type Entry = &'a RawValue;

    fn restart(&mut self) {
        self.0.clear();
    }
    fn entry(&mut self, raw: &'a RawValue) {
        self.0.push(raw);
    }
}

/// Reads the bytes as a file, and as what a file holds.
pub fn check(bytes: &[u8]) {
    let mut inflated = Vec::new();
    match fuzzing::inflate(bytes, &mut inflated) {
        Ok(text) => check_text(text),
        Err(damage) => bounded(&damage),
    }
    let file = gzip(bytes);
    match fuzzing::inflate(&file, &mut inflated) {
        Ok(text) => {
            assert_eq!(text.as_bytes(), fs::without_bom(bytes), "what was compressed is not what was inflated");
            check_text(text);
        }
        Err(damage) => assert!(matches!(damage, Damage::Utf8(_)), "{damage}"),
    }
    // Whatever it is, what it says of a version can be sent as a header.
    for beginning in [bytes, &file] {
        let Validators { etag, last_modified } = fuzzing::validators(beginning);
        assert_eq!(Validators::new(etag.as_deref(), last_modified.as_deref()), Validators { etag, last_modified });
    }
    let cut = &file[..file.len() - 1];
    assert!(matches!(fuzzing::inflate(cut, &mut inflated), Err(Damage::Gzip(_))), "a file that is cut short");
    let longer = [&file[..], b"\0"].concat();
    assert!(matches!(fuzzing::inflate(&longer, &mut inflated), Err(Damage::Trailing(1))), "a byte after the member");
}

/// Reads a whole board file that must be one, and hands on its name and entries.
pub fn read_back(file: &[u8], then: impl FnOnce(&str, &[&RawValue])) {
    let (mut inflated, mut seen) = (Vec::new(), Collected::default());
    let text = fuzzing::inflate(file, &mut inflated).expect("what we write can be inflated");
    let head = fuzzing::parse(text, BOARD, &mut seen).expect("what we write is a board");
    then(&head.name, &seen.0);
}

fn check_text(text: &str) {
    let mut seen = Collected::default();
    match fuzzing::parse(text, BOARD, &mut seen) {
        Ok(head) => accepted(text, BOARD, &head.name, &seen.0),
        Err(damage) => {
            bounded(&damage);
            let Damage::OtherBoard { found } = damage else { return };
            let Ok(other) = found.parse() else { return };
            assert_ne!(other, BOARD, "refused though it is the board expected");
            let mut again = Collected::default();
            let head = fuzzing::parse(text, other, &mut again).expect("it is the board it is said to be");
            assert_eq!(again.0.len(), seen.0.len());
            accepted(text, other, &head.name, &again.0);
        }
    }
}

fn bounded(damage: &Damage) {
    let message = damage.to_string();
    assert!(message.chars().count() <= LONGEST_MESSAGE, "{} bytes of message", message.len());
}

fn accepted(text: &str, board: Combination, name: &str, entries: &[&RawValue]) {
    if let Some(tree) = model::tree(text) {
        is_what_the_tree_has(&tree["track_info"], board, name, entries);
    }
    let validators = Validators::new(Some(name), entries.first().map(|it| it.get()));
    let mut encoder = BoardEncoder::new(BOARD, name, &validators);
    assert!(entries.iter().all(|entry| encoder.push(entry)), "a board is no larger than a board may be");
    let file = encoder.finish("2026-11-23T04:00:11.5Z").bytes;
    assert_eq!(fuzzing::validators(&file[..file.len().min(BEGINNING)]), validators, "a version changed on its way");
    read_back(&file, |again, read| {
        assert_eq!(again, name);
        assert!(read.iter().map(|it| it.get()).eq(entries.iter().map(|it| it.get())), "an entry changed on its way");
    });
    makes_an_index(name, entries);
}

fn is_what_the_tree_has(info: &Value, board: Combination, name: &str, entries: &[&RawValue]) {
    let text = |key: &str| info[key].as_str().unwrap_or_default();
    assert_eq!((text("TrackID"), text("ClassID")), (&*board.track.to_string(), &*board.class.to_string()));
    assert_eq!(text("Name"), name);
    let data: &[Value] = info["Data"].as_array().map_or(&[], Vec::as_slice);
    assert_eq!(data.len(), entries.len());
    for (raw, value) in entries.iter().zip(data) {
        assert_eq!(model::tree(raw.get()).as_ref(), Some(value));
        assert_eq!(Entry::read(raw), model::entry(value));
    }
}

/// The index of the board alone: well formed, compact, its keys in order, its results those of the entries.
fn makes_an_index(name: &str, raw: &[&RawValue]) {
    let ordinal = CATALOG.ordinal(BOARD).expect("the catalogue has the board");
    let entries: Vec<Option<Entry<'_>>> = raw.iter().map(|raw| Entry::read(raw)).collect();
    let index = index::fuzzing::driver_index(&CATALOG, ordinal, name, raw.iter().copied());
    let index = String::from_utf8(index).expect("the index is UTF-8");
    assert!(is_compact(&index), "white space between values: {index}");
    let mut found = Vec::new();
    json::members(&index, |key, results| {
        let results: Vec<&RawValue> = serde_json::from_str(results.get()).expect("results are an array");
        found.push((key.to_owned(), results.into_iter().map(result).collect::<Vec<_>>()));
    })
    .expect("the index is a JSON object");
    let expected = model::driver_index(name, (BOARD.track.get(), BOARD.class.get()), &entries);
    // A map gives its keys in order.
    assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{index}");
}

/// A result as a tree. The one number with a fraction is read by the library that rounds it right.
fn result(raw: &RawValue) -> Value {
    let mut members = serde_json::Map::new();
    json::members(raw.get(), |key, value| {
        let value = match key {
            "time_diff" => value.get().parse::<f64>().expect("seconds are a number").into(),
            _ => serde_json::from_str(value.get()).expect("a member is JSON"),
        };
        assert_eq!(members.insert(key.to_owned(), value), None, "{key} stands twice");
    })
    .expect("a result is an object");
    Value::Object(members)
}

fn is_compact(json: &str) -> bool {
    let (mut in_string, mut escaped) = (false, false);
    json.bytes().all(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ => {}
        }
        in_string || !byte.is_ascii_whitespace()
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("compressing into memory cannot fail")
}
