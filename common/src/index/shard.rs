//! What one thread has read: rows of 56 bytes, the boards they belong to, and the strings that both refer to.

use serde_json::value::RawValue;

use super::intern::{Interner, Text};
use super::packed;
use super::record::position;
use super::rows::{Fields, Stored};
use crate::domain::{Entry, Ordinal, seconds_behind};
use crate::store::Entries;

/// Marks a number that is not packed but refers to a string or to a side table.
const APART: u64 = 1 << 63;
const APART_SECONDS: u32 = 1 << 31;

/// One result of one driver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    laptime: u64,
    date_time: u64,
    time_diff: u32,
    /// Which of the shard's boards.
    pub(super) board: u32,
    pub(super) name: Text,
    pub(super) position: u32,
    country: Text,
    car: Text,
    car_class: Text,
    team: Text,
    rank: Text,
    difficulty: Text,
}

/// A board that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Board {
    pub(super) ordinal: Ordinal,
    pub(super) name: Text,
    /// The first of its rows; they end where the next board's begin.
    pub(super) start: usize,
    /// Its entries, those without a driver name included.
    pub(super) entries: u32,
}

/// What one thread has read.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) strings: Interner,
    pub(super) rows: Vec<Row>,
    pub(super) boards: Vec<Board>,
    /// Gaps that are no whole milliseconds.
    odd_seconds: Vec<f64>,
    /// Entries without a driver name.
    pub(super) nameless: usize,
}

impl Shard {
    pub(super) fn new() -> Self {
        Self { strings: Interner::new(), rows: Vec::new(), boards: Vec::new(), odd_seconds: Vec::new(), nameless: 0 }
    }

    /// Begins a board; its entries are handed to what this returns, and [`Reading::end`] takes them in.
    pub(super) fn begin(&mut self, ordinal: Ordinal) -> Reading<'_> {
        let (start, nameless) = (self.rows.len(), self.nameless);
        Reading { shard: self, ordinal, start, nameless_before: nameless, entries: 0 }
    }

    /// The rows of a board.
    pub(super) fn rows_of(&self, board: usize) -> std::ops::Range<usize> {
        let end = self.boards.get(board + 1).map_or(self.rows.len(), |next| next.start);
        self.boards[board].start..end
    }

    /// Its boards, each with its track layout's name and its entries.
    pub(super) fn named_boards(&self) -> impl Iterator<Item = (Ordinal, &str, u32)> {
        self.boards.iter().map(|board| (board.ordinal, self.strings.get(board.name), board.entries))
    }

    fn push(&mut self, entry: &Entry<'_>, board: u32) {
        let apart = |text: Text| APART | u64::from(text.0);
        let laptime =
            packed::pack_laptime(&entry.laptime).unwrap_or_else(|| apart(self.strings.intern(&entry.laptime)));
        let date_time =
            packed::pack_date(&entry.date_time).unwrap_or_else(|| apart(self.strings.intern(&entry.date_time)));
        let seconds = seconds_behind(&entry.relative_laptime);
        let time_diff = packed::pack_seconds(seconds).unwrap_or_else(|| {
            self.odd_seconds.push(seconds);
            APART_SECONDS | u32::try_from(self.odd_seconds.len() - 1).unwrap_or_default()
        });
        let strings = &mut self.strings;
        self.rows.push(Row {
            laptime,
            date_time,
            time_diff,
            board,
            name: strings.intern(&entry.name),
            position: position(entry),
            country: strings.intern(&entry.country),
            car: strings.intern(&entry.car),
            car_class: strings.intern(&entry.car_class),
            team: strings.intern(&entry.team),
            rank: strings.intern(&entry.rank),
            difficulty: strings.intern(&entry.difficulty),
        });
    }

    /// What a row says.
    pub(super) fn fields(&self, row: &Row) -> Fields<'_> {
        let board = &self.boards[row.board as usize];
        Fields {
            name: self.strings.get(row.name),
            position: row.position,
            laptime: self.stored(row.laptime),
            time_diff: self.time_diff(row),
            country: self.strings.get(row.country),
            car: self.strings.get(row.car),
            car_class: self.strings.get(row.car_class),
            team: self.strings.get(row.team),
            rank: self.strings.get(row.rank),
            difficulty: self.strings.get(row.difficulty),
            track: self.strings.get(board.name),
            date_time: self.stored(row.date_time),
            total_entries: board.entries,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the number")]
    fn stored(&self, value: u64) -> Stored<'_> {
        if value & APART == 0 { Stored::Packed(value) } else { Stored::Text(self.strings.get(Text(value as u32))) }
    }

    /// Seconds behind the leader.
    fn time_diff(&self, row: &Row) -> f64 {
        if row.time_diff & APART_SECONDS == 0 {
            packed::unpack_seconds(row.time_diff)
        } else {
            self.odd_seconds[(row.time_diff & !APART_SECONDS) as usize]
        }
    }
}

/// A board while it is being read into a shard.
#[derive(Debug)]
pub(super) struct Reading<'s> {
    shard: &'s mut Shard,
    ordinal: Ordinal,
    start: usize,
    nameless_before: usize,
    entries: usize,
}

impl Reading<'_> {
    /// The board was read to its end; `name` is the track layout's.
    pub(super) fn end(self, name: &str) -> usize {
        let name = self.shard.strings.intern(name);
        // No board has more entries than MAX_BOARD_ENTRIES.
        let entries = u32::try_from(self.entries).unwrap_or(u32::MAX);
        self.shard.boards.push(Board { ordinal: self.ordinal, name, start: self.start, entries });
        self.entries
    }

    /// The board could not be read: nothing of it stays.
    pub(super) fn abandon(mut self) {
        self.restart();
    }
}

impl<'a> Entries<'a> for Reading<'_> {
    fn restart(&mut self) {
        self.shard.rows.truncate(self.start);
        self.shard.nameless = self.nameless_before;
        self.entries = 0;
    }

    fn entry(&mut self, raw: &'a RawValue) {
        self.entries += 1;
        match Entry::read(raw) {
            Some(entry) => {
                let board = u32::try_from(self.shard.boards.len()).unwrap_or(u32::MAX);
                self.shard.push(&entry, board);
            }
            None => self.shard.nameless += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn a_row_takes_56_bytes() {
        assert_eq!(size_of::<Row>(), 56);
    }

    #[test]
    fn a_board_that_is_abandoned_leaves_nothing() {
        let (mut shard, one) = (Shard::new(), entry(r#"{"driver":{"name":"x"}}"#));
        let mut reading = shard.begin(Ordinal(0));
        reading.entry(&one);
        assert_eq!(reading.end("T"), 1);
        let mut reading = shard.begin(Ordinal(1));
        reading.entry(&one);
        reading.entry(&entry("{}"));
        reading.abandon();
        assert_eq!((shard.rows.len(), shard.boards.len(), shard.nameless), (1, 1, 0));
        assert_eq!(shard.rows_of(0), 0..1);
    }

    #[test]
    fn a_gap_finer_than_milliseconds_is_kept() {
        let mut shard = Shard::new();
        let mut reading = shard.begin(Ordinal(0));
        reading.entry(&entry(r#"{"driver":{"name":"x"},"relative_laptime":"+01.88751s"}"#));
        reading.end("T");
        assert!((shard.time_diff(&shard.rows[0]) - 1.88751).abs() < f64::EPSILON);
    }
}
