//! The rows that one thread has read (64 bytes each), their boards, and the interned strings that both refer to.

use super::chunks::Chunks;
use super::country::Country;
use super::drivers::{self, id_of};
use super::intern::{Interner, Text};
use super::key::KeyRange;
use super::packed;
use super::rows::{Fields, Stored};
use super::sort_key::SortKey;
use crate::domain::{Entry, Ordinal, seconds_behind};

/// Flag of a number that is not a packed value but an index into the strings or a side table.
const APART: u64 = 1 << 63;
const APART_SECONDS: u32 = 1 << 31;

/// Bytes per row in `Order`.
const ORDER_BYTES: usize = 4;

/// One result of one driver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    laptime: u64,
    date_time: u64,
    time_diff: u32,
    /// The index of its board in the shard.
    pub(super) board: u32,
    pub(super) name: Text,
    pub(super) position: u32,
    country: Text,
    car: Text,
    car_class: Text,
    team: Text,
    rank: Text,
    difficulty: Text,
    /// The driver's id and avatar; empty if no export needs them.
    pub(super) driver: Text,
    avatar: Text,
}

/// A board that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Board {
    pub(super) ordinal: Ordinal,
    pub(super) name: Text,
    /// The index of its first row. Its rows end where those of the next board begin.
    pub(super) start: usize,
    /// The number of entries, including those without a driver name.
    pub(super) entries: u32,
}

/// The rows in a range of keys that one thread has read.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) strings: Interner,
    pub(super) rows: Chunks<Row>,
    pub(super) boards: Vec<Board>,
    /// Gaps to the leader that are not whole milliseconds.
    odd_seconds: Vec<f64>,
    pub(super) range: KeyRange,
    /// The first row of the board that is being read.
    begun: usize,
    /// Whether rows have driver ids and avatars; `driver_bytes` is what a table of these drivers may take.
    with_drivers: bool,
    driver_bytes: usize,
}

impl Shard {
    pub(super) fn new(range: KeyRange, with_drivers: bool) -> Self {
        Self {
            strings: Interner::new(),
            rows: Chunks::new(),
            boards: Vec::new(),
            odd_seconds: Vec::new(),
            range,
            begun: 0,
            with_drivers,
            driver_bytes: 0,
        }
    }

    /// Completes the board being read, which has `entries` entries; `name` is the name of its track layout.
    pub(super) fn end_board(&mut self, ordinal: Ordinal, name: &str, entries: u32) {
        let name = self.strings.intern(name);
        self.boards.push(Board { ordinal, name, start: self.begun, entries });
        self.begun = self.rows.len();
    }

    /// Drops the rows of the board being read.
    pub(super) fn drop_board(&mut self) {
        self.rows.truncate(self.begun);
    }

    /// The rows of a board.
    pub(super) fn rows_of(&self, board: usize) -> std::ops::Range<usize> {
        let end = self.boards.get(board + 1).map_or(self.begun, |next| next.start);
        self.boards[board].start..end
    }

    /// All boards, each with the name of its track layout and the number of entries.
    pub(super) fn named_boards(&self) -> impl Iterator<Item = (Ordinal, &str, u32)> {
        self.boards.iter().map(|board| (board.ordinal, self.strings.get(board.name), board.entries))
    }

    /// Memory use in bytes, including what growing and sorting may need on top, and the table of drivers that is made from rows
    /// by name. Once rows are in the order of their drivers, that table exists and is counted elsewhere.
    pub(super) fn reserved_bytes(&self, sort_key: SortKey<'_>) -> usize {
        let lists = self.odd_seconds.capacity() * size_of::<f64>() * 3;
        let drivers = if matches!(sort_key, SortKey::Name) { self.driver_bytes } else { 0 };
        self.rows.bytes() + self.rows.len() * ORDER_BYTES + self.strings.reserved_bytes() + lists + drivers
    }

    /// Memory use of rows and strings in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.rows.bytes() + self.strings.bytes() + self.odd_seconds.capacity() * size_of::<f64>()
    }

    /// Lowers the upper bound to `upper`: drops rows at or above it, and strings that only those rows use.
    pub(super) fn narrow(&mut self, upper: &str, sort_key: SortKey<'_>) {
        self.range.upper = Some(upper.to_owned());
        self.strings.freeze();
        let (mut strings, mut odd_seconds) = (Interner::new(), Vec::new());
        let old = &self.strings;
        let renew = |text: Text, strings: &mut Interner| strings.intern(old.get(text));
        let apart = |value: u64, strings: &mut Interner| {
            if value & APART == 0 { value } else { APART | u64::from(renew(lower_half(value), strings).0) }
        };
        // Whether a name or id is kept, cached, since each board may repeat it.
        let mut kept_texts = vec![None; old.len()];
        let mut key = String::new();
        let (boards, mut counts) = (self.boards.len(), vec![0; self.boards.len() + 1]);
        let (odd, mut driver_bytes) = (&self.odd_seconds, 0);
        self.rows.filter_map(|mut row| {
            let text = sort_key.text(row.name, row.driver);
            let kept = *kept_texts[text.0 as usize].get_or_insert_with(|| {
                key.clear();
                sort_key.push_key(old.get(text), &mut key);
                key.as_str() < upper
            });
            if !kept {
                return None;
            }
            counts[row.board as usize] += 1;
            for text in [
                &mut row.name,
                &mut row.country,
                &mut row.car,
                &mut row.car_class,
                &mut row.team,
                &mut row.rank,
                &mut row.difficulty,
                &mut row.avatar,
            ] {
                *text = renew(*text, &mut strings);
            }
            let known = strings.len();
            row.driver = renew(row.driver, &mut strings);
            if strings.len() > known {
                driver_bytes += drivers::max_bytes([row.driver, row.name, row.avatar].map(|it| strings.get(it)));
            }
            row.laptime = apart(row.laptime, &mut strings);
            row.date_time = apart(row.date_time, &mut strings);
            if row.time_diff & APART_SECONDS != 0 {
                odd_seconds.push(odd[(row.time_diff & !APART_SECONDS) as usize]);
                row.time_diff = APART_SECONDS | u32::try_from(odd_seconds.len() - 1).unwrap_or_default();
            }
            Some(row)
        });
        let mut start = 0;
        for (board, count) in self.boards.iter_mut().zip(&counts) {
            board.start = start;
            board.name = renew(board.name, &mut strings);
            start += count;
        }
        self.begun = self.rows.len() - counts[boards];
        (self.strings, self.odd_seconds, self.driver_bytes) = (strings, odd_seconds, driver_bytes);
    }

    /// Adds an entry of the board being read.
    pub(super) fn push(&mut self, entry: &Entry<'_>) {
        let board = u32::try_from(self.boards.len()).unwrap_or(u32::MAX);
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
        let (mut driver, mut avatar) = (Text(0), Text(0));
        if self.with_drivers {
            let (known, id) = (strings.len(), id_of(&entry.driver));
            driver = strings.intern(&id);
            if strings.len() > known {
                self.driver_bytes += drivers::max_bytes([&id, &entry.driver.name, &entry.driver.avatar]);
            }
            avatar = strings.intern(&entry.driver.avatar);
        }
        self.rows.push(Row {
            laptime,
            date_time,
            time_diff,
            board,
            name: strings.intern(&entry.driver.name),
            position: position(entry),
            country: strings.intern(&Country::join(&entry.country_code, &entry.country)),
            car: strings.intern(&entry.car),
            car_class: strings.intern(&entry.car_class),
            team: strings.intern(&entry.team),
            rank: strings.intern(&entry.rank),
            difficulty: strings.intern(&entry.difficulty),
            driver,
            avatar,
        });
    }

    /// What a row says.
    pub(super) fn fields(&self, row: &Row) -> Fields<'_> {
        let board = &self.boards[row.board as usize];
        Fields {
            driver: self.strings.get(row.driver),
            avatar: self.strings.get(row.avatar),
            name: self.strings.get(row.name),
            position: row.position,
            laptime: self.stored(row.laptime),
            time_diff: self.time_diff(row),
            country: Country(self.strings.get(row.country)),
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

    fn stored(&self, value: u64) -> Stored<'_> {
        if value & APART == 0 { Stored::Packed(value) } else { Stored::Text(self.strings.get(lower_half(value))) }
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

/// The text that a number with [`APART`] refers to.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is the number")]
fn lower_half(value: u64) -> Text {
    Text(value as u32)
}

/// An entry's position as the exports have it.
fn position(entry: &Entry<'_>) -> u32 {
    entry.index.map_or(1, |index| index.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    fn entry(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn a_row_takes_64_bytes() {
        assert_eq!(size_of::<Row>(), 64);
    }

    fn push(shard: &mut Shard, text: &str) {
        let raw = entry(text);
        shard.push(&Entry::read(&raw).unwrap());
    }

    #[test]
    fn a_board_that_is_dropped_leaves_nothing() {
        let mut shard = Shard::new(KeyRange::default(), true);
        push(&mut shard, r#"{"driver":{"name":"x"}}"#);
        shard.end_board(Ordinal(0), "T", 1);
        push(&mut shard, r#"{"driver":{"name":"x"}}"#);
        shard.drop_board();
        assert_eq!((shard.rows.len(), shard.boards.len()), (1, 1));
        assert_eq!(shard.rows_of(0), 0..1);
    }

    #[test]
    fn a_gap_finer_than_milliseconds_is_kept() {
        let mut shard = Shard::new(KeyRange::default(), true);
        push(&mut shard, r#"{"driver":{"name":"x"},"relative_laptime":"+01.88751s"}"#);
        shard.end_board(Ordinal(0), "T", 1);
        assert!((shard.time_diff(&shard.rows[0]) - 1.88751).abs() < f64::EPSILON);
    }

    #[test]
    fn narrowed_it_is_as_if_the_rest_had_never_been_read() {
        let rows = |shard: &Shard| shard.rows.iter().map(|row| format!("{:?}", shard.fields(row))).collect::<Vec<_>>();
        let text = |name: &str| {
            format!(
                r#"{{"driver":{{"name":"{name}"}},"relative_laptime":"+1.{name}5s","laptime":"about {name}","team":"{name}"}}"#
            )
        };
        let [mut narrowed, mut whole] = [(); 2].map(|()| Shard::new(KeyRange::default(), true));
        for (board, names) in [["B", "a"], ["C", "c"], ["b", "A"]].iter().enumerate() {
            let end = |shard: &mut Shard| {
                if board < 2 {
                    shard.end_board(Ordinal(u32::try_from(board).unwrap()), &format!("T{board}"), 2);
                }
            };
            for name in names {
                push(&mut narrowed, &text(name));
                if !matches!(*name, "C" | "c") {
                    push(&mut whole, &text(name));
                }
            }
            end(&mut narrowed);
            end(&mut whole);
        }
        narrowed.narrow("c", SortKey::Name);
        for shard in [&mut narrowed, &mut whole] {
            // The third board was being read.
            shard.end_board(Ordinal(7), "T", 2);
        }
        assert_eq!((rows(&narrowed).len(), rows(&narrowed)), (4, rows(&whole)));
        assert_eq!((0..3).map(|it| narrowed.rows_of(it)).collect::<Vec<_>>(), [0..2, 2..2, 2..4]);
        assert!(narrowed.named_boards().eq(whole.named_boards()));
        assert_eq!(narrowed.strings.len(), whole.strings.len());
    }
}
