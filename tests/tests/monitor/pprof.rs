//! A reader of saved profiles that shares nothing with the program's own, and accepts only what the form allows: every
//! field of a kind that it may have, every number leading somewhere, the empty text first
//! (<https://github.com/google/pprof/blob/main/proto/profile.proto>).

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use r3e_tests::harness::gunzip;

/// A field: its number, and a number or bytes.
type Field<'b> = (u64, Result<u64, &'b [u8]>);

/// Functions with their files, the innermost first.
type Way = Vec<(String, String)>;

/// A saved profile.
#[derive(Debug)]
pub(crate) struct Pprof {
    /// Kinds of values with their units.
    pub(crate) types: Vec<(String, String)>,
    /// The kind that is shown first.
    pub(crate) default_type: String,
    /// Values, and the functions on the way with their files, the innermost first.
    pub(crate) samples: Vec<(Vec<i64>, Way)>,
    /// Files of code with their build ids.
    pub(crate) mappings: Vec<(String, String)>,
    /// When, in nanoseconds since 1970.
    pub(crate) time_ns: i64,
    /// The mean of the bytes between two samples.
    pub(crate) period: i64,
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    assert!(length <= 10, "a number of {length} bytes");
    let (number, rest) = bytes.split_at(length);
    *bytes = rest;
    number.iter().rev().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f))
}

/// The fields of a message, of which only those numbers may occur.
fn fields<'b>(mut bytes: &'b [u8], numbers: &[u64], texts: &[u64]) -> Vec<Field<'b>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let (field, kind) = (key >> 3, key & 7);
        match kind {
            0 => {
                assert!(numbers.contains(&field), "field {field} is a number");
                fields.push((field, Ok(varint(&mut bytes))));
            }
            2 => {
                assert!(texts.contains(&field), "field {field} is bytes");
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (content, rest) = bytes.split_at(length);
                bytes = rest;
                fields.push((field, Err(content)));
            }
            _ => panic!("field {field} is of kind {kind}"),
        }
    }
    fields
}

fn number(fields: &[Field], field: u64) -> u64 {
    let found: Vec<u64> = fields.iter().filter(|it| it.0 == field).map(|it| it.1.unwrap()).collect();
    assert!(found.len() <= 1, "field {field}: {found:?}");
    found.first().copied().unwrap_or(0)
}

fn contents<'b>(fields: &[Field<'b>], field: u64) -> Vec<&'b [u8]> {
    fields.iter().filter(|it| it.0 == field).map(|it| it.1.unwrap_err()).collect()
}

fn packed(fields: &[Field], field: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    for mut content in contents(fields, field) {
        while !content.is_empty() {
            numbers.push(varint(&mut content));
        }
    }
    numbers
}

/// By their ids, of which each is there once and none is 0.
fn by_id<T>(all: impl Iterator<Item = (u64, T)>) -> HashMap<u64, T> {
    let mut known = HashMap::new();
    for (id, it) in all {
        assert!(id != 0 && known.insert(id, it).is_none(), "id {id}");
    }
    known
}

impl Pprof {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Self {
        let message = gunzip(&fs::read(path).unwrap(), path);
        let top = fields(&message, &[7, 8, 9, 10, 12, 13, 14], &[1, 2, 3, 4, 5, 6, 11, 13]);
        let texts: Vec<&str> = contents(&top, 6).into_iter().map(|text| std::str::from_utf8(text).unwrap()).collect();
        assert_eq!(texts[0], "");
        let text = |index: u64| texts[usize::try_from(index).unwrap()].to_owned();
        let value_type = |bytes: &[u8]| {
            let it = fields(bytes, &[1, 2], &[]);
            (text(number(&it, 1)), text(number(&it, 2)))
        };
        let types: Vec<_> = contents(&top, 1).into_iter().map(value_type).collect();
        let period_types: Vec<_> = contents(&top, 11).into_iter().map(value_type).collect();
        assert_eq!(period_types, [("space".to_owned(), "bytes".to_owned())]);
        let functions = by_id(contents(&top, 5).into_iter().map(|bytes| {
            let it = fields(bytes, &[1, 2, 3, 4, 5], &[]);
            let _system_name = text(number(&it, 3));
            (number(&it, 1), (text(number(&it, 2)), text(number(&it, 4))))
        }));
        let mappings: Vec<_> =
            contents(&top, 3).into_iter().map(|bytes| fields(bytes, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], &[])).collect();
        let ranges = by_id(mappings.iter().map(|it| (number(it, 1), number(it, 2)..number(it, 3))));
        let locations = by_id(contents(&top, 4).into_iter().map(|bytes| {
            let it = fields(bytes, &[1, 2, 3, 5], &[4]);
            let (mapping, address) = (number(&it, 2), number(&it, 3));
            assert!(mapping == 0 || ranges[&mapping].contains(&address), "{address:x} is in {mapping}");
            let lines: Vec<_> = contents(&it, 4)
                .into_iter()
                .map(|bytes| functions[&number(&fields(bytes, &[1, 2, 3], &[]), 1)].clone())
                .collect();
            assert!(!lines.is_empty());
            (number(&it, 1), lines)
        }));
        let samples = contents(&top, 2).into_iter().map(|bytes| {
            let it = fields(bytes, &[1, 2], &[1, 2, 3]);
            let values: Vec<i64> = packed(&it, 2).into_iter().map(u64::cast_signed).collect();
            assert_eq!(values.len(), types.len());
            (values, packed(&it, 1).iter().flat_map(|id| locations[id].clone()).collect())
        });
        let samples = samples.collect();
        let mappings = mappings.iter().map(|it| (text(number(it, 5)), text(number(it, 6)))).collect();
        let [time_ns, period] = [number(&top, 9), number(&top, 12)].map(u64::cast_signed);
        Self { samples, mappings, default_type: text(number(&top, 14)), time_ns, period, types }
    }

    /// The sum of the values of that kind, over samples with such a function, by name and file, on the way.
    pub(crate) fn sum(&self, kind: &str, is_meant: impl Fn(&str, &str) -> bool) -> i64 {
        let column = self.types.iter().position(|it| it.0 == kind).unwrap();
        let meant = self.samples.iter().filter(|(_, way)| way.iter().any(|(name, file)| is_meant(name, file)));
        meant.map(|(values, _)| values[column]).sum()
    }
}
