//! One row of the index as JSON.

use serde::Serialize;

use std::io::Write as _;

use super::country::Country;
use super::packed;
use crate::domain::{Class, Track};

/// A text that may have been packed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stored<'a> {
    /// A number that [`packed`] unpacks.
    Packed(u64),
    /// The text itself.
    Text(&'a str),
}

/// The files that have rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The driver index.
    DriverIndex,
    /// The shards of entries.
    Entries,
}

/// The fields of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    /// The driver's id and avatar; empty if no export needs them.
    pub(super) driver: &'a str,
    pub(super) avatar: &'a str,
    pub(super) name: &'a str,
    pub(super) position: u32,
    pub(super) laptime: Stored<'a>,
    pub(super) time_diff: f64,
    pub(super) country: Country<'a>,
    pub(super) car: &'a str,
    pub(super) car_class: &'a str,
    pub(super) team: &'a str,
    pub(super) rank: &'a str,
    pub(super) difficulty: &'a str,
    /// The track layout's name, as the board has it.
    pub(super) track: &'a str,
    pub(super) date_time: Stored<'a>,
    /// Entries of the board.
    pub(super) total_entries: u32,
}

impl Fields<'_> {
    /// Appends the row as JSON. Packed values never contain a character that needs escaping.
    pub(super) fn write(&self, form: Form, board: (&Track, &Class), out: &mut Vec<u8>) {
        match form {
            Form::DriverIndex => self.write_result(board, out),
            Form::Entries => self.write_entry(board, out),
        }
    }

    fn write_result(&self, (track, class): (&Track, &Class), out: &mut Vec<u8>) {
        text(r#"{"name":"#, self.name, out);
        number(r#","position":"#, self.position, out);
        out.extend_from_slice(br#","laptime":"#);
        write_stored(self.laptime, packed::write_laptime, out);
        number(r#","time_diff":"#, self.time_diff, out);
        text(r#","country":"#, self.country.name(), out);
        text(r#","car":"#, self.car, out);
        text(r#","car_class":"#, self.car_class, out);
        text(r#","team":"#, self.team, out);
        text(r#","rank":"#, self.rank, out);
        text(r#","difficulty":"#, self.difficulty, out);
        text(r#","track":"#, self.track, out);
        number(r#","track_id":""#, track.id, out);
        number(r#"","class_id":""#, class.id, out);
        out.extend_from_slice(br#"","date_time":"#);
        write_stored(self.date_time, packed::write_date, out);
        number(r#","found":true,"total_entries":"#, self.total_entries, out);
        out.push(b'}');
    }

    fn write_entry(&self, (track, class): (&Track, &Class), out: &mut Vec<u8>) {
        text(r#"{"path_id":"#, self.driver, out);
        number(r#","position":"#, self.position, out);
        out.extend_from_slice(br#","laptime":"#);
        write_stored(self.laptime, packed::write_laptime, out);
        text(r#","car":"#, self.car, out);
        text(r#","car_class":"#, self.car_class, out);
        text(r#","difficulty":"#, self.difficulty, out);
        number(r#","track_id":""#, track.id, out);
        number(r#"","class_id":""#, class.id, out);
        out.extend_from_slice(br#"","date_time":"#);
        write_stored(self.date_time, packed::write_date, out);
        number(r#","total_entries":"#, self.total_entries, out);
        out.push(b'}');
    }

    /// An upper bound of the bytes that [`Fields::write`] appends, plus a comma.
    pub(super) fn max_bytes(&self) -> usize {
        let stored = |stored| match stored {
            Stored::Text(text) => text_bytes(text),
            Stored::Packed(_) => 0,
        };
        let texts = [
            self.driver,
            self.name,
            self.country.name(),
            self.car,
            self.car_class,
            self.team,
            self.rank,
            self.difficulty,
            self.track,
        ];
        AROUND_ROW + stored(self.laptime) + stored(self.date_time) + texts.into_iter().map(text_bytes).sum::<usize>()
    }
}

/// An upper bound of a row's size without its strings: keys, numbers and packed values.
const AROUND_ROW: usize = 352;

/// An upper bound of the bytes of a text in a JSON string, without quotes.
pub(super) fn text_bytes(text: &str) -> usize {
    // JSON writes a character below U+0020 in six bytes at most.
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' => 1,
        ..b' ' => 5,
        _ => 0,
    };
    text.len() + text.bytes().map(escaped).sum::<usize>()
}

/// Appends a key and a number, which JSON writes as Rust does: shortest form, no exponent.
fn number(key: &str, value: impl std::fmt::Display, out: &mut Vec<u8>) {
    let written = write!(out, "{key}{value}");
    debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
}

/// Appends a key, and a text as its value.
fn text(key: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(key.as_bytes());
    write_json(value, out);
}

/// Appends a value as JSON.
pub(super) fn write_json(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
}

fn write_stored(stored: Stored<'_>, unpack: impl Fn(u64, &mut Vec<u8>), out: &mut Vec<u8>) {
    match stored {
        Stored::Text(text) => write_json(text, out),
        Stored::Packed(value) => {
            out.push(b'"');
            unpack(value, out);
            out.push(b'"');
        }
    }
}
