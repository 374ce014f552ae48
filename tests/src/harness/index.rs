//! Reads a driver index and keeps the order of the file.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::cache::gunzip;

/// One result of a driver: exactly the keys of the contract.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys of the file")]
pub struct Row {
    pub name: String,
    pub position: u32,
    pub laptime: String,
    pub time_diff: f64,
    pub country: String,
    pub car: String,
    pub car_class: String,
    pub team: String,
    pub rank: String,
    pub difficulty: String,
    pub track: String,
    pub track_id: String,
    pub class_id: String,
    pub date_time: String,
    pub found: bool,
    pub total_entries: u32,
}

impl Row {
    /// Which board it is on: `track-class`.
    #[must_use]
    pub fn board(&self) -> String {
        format!("{}-{}", self.track_id, self.class_id)
    }
}

/// A driver index: keys with their results, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct DriverIndex(pub Vec<(String, Vec<Row>)>);

impl DriverIndex {
    /// All results.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.0.iter().flat_map(|(_, rows)| rows)
    }
}

impl<'de> Deserialize<'de> for DriverIndex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = DriverIndex;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of drivers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DriverIndex, A::Error> {
                let mut drivers = Vec::new();
                while let Some(driver) = map.next_entry()? {
                    drivers.push(driver);
                }
                Ok(DriverIndex(drivers))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Reads `driver_index.json.gz` of a cache. Requires one gzip member, no white space outside strings, keys in strictly
/// ascending byte order, and at least one result per key.
///
/// # Panics
/// If any of that does not hold.
#[track_caller]
#[must_use]
pub fn driver_index(cache: &Path) -> DriverIndex {
    driver_index_and_generation(cache).0
}

/// Like [`driver_index`], but also returns the generation as in `status.json`: checksum and length of the JSON.
///
/// # Panics
/// As [`driver_index`].
#[track_caller]
#[must_use]
pub fn driver_index_and_generation(cache: &Path) -> (DriverIndex, String) {
    let path = cache.join("driver_index.json.gz");
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = gunzip(&bytes, &path);
    assert_eq!(white_space_outside_strings(&text), 0, "white space outside strings");
    let index = parse_driver_index(&text);
    assert!(index.0.is_sorted_by(|(a, _), (b, _)| a.as_bytes() < b.as_bytes()), "keys are ascending, each once");
    assert!(index.0.iter().all(|(_, rows)| !rows.is_empty()), "no key is without results");
    assert!(index.rows().all(|row| row.found), "found is always true");
    let mut checksum = flate2::Crc::new();
    checksum.update(&text);
    (index, format!("{:08x}-{}", checksum.sum(), text.len()))
}

/// Parses the JSON of a driver index.
///
/// # Panics
/// If it is invalid.
#[track_caller]
#[must_use]
pub fn parse_driver_index(text: &[u8]) -> DriverIndex {
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("no driver index: {error}"))
}

fn white_space_outside_strings(text: &[u8]) -> usize {
    let (mut inside, mut escaped, mut found) = (false, false, 0);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            _ => found += usize::from(!inside && byte.is_ascii_whitespace()),
        }
    }
    found
}
