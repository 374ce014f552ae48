//! One result as bytes that need nothing else to be understood: how it waits to be sorted, in memory and in runs.

use std::cmp::Ordering;

use super::order::push_key;
use super::packed;
use crate::domain::{Entry, seconds_behind};

/// How many texts a record has.
pub(super) const TEXTS: usize = 9;

/// The texts of a record; see the constants.
pub(super) type Texts<'a> = [&'a str; TEXTS];

pub(super) const NAME: usize = 0;
pub(super) const COUNTRY: usize = 1;
pub(super) const CAR: usize = 2;
pub(super) const CAR_CLASS: usize = 3;
pub(super) const TEAM: usize = 4;
pub(super) const RANK: usize = 5;
pub(super) const DIFFICULTY: usize = 6;
/// Empty where the lap time is packed.
pub(super) const LAPTIME: usize = 7;
/// Empty where the date is packed.
pub(super) const DATE_TIME: usize = 8;

/// Flags below this one say which texts are those of the record before.
const LAPTIME_PACKED: u16 = 1 << TEXTS;
const DATE_PACKED: u16 = LAPTIME_PACKED << 1;
const GAP_PACKED: u16 = DATE_PACKED << 1;

/// The most bytes that a record takes beside its texts.
const MOST_AROUND: usize = 2 + 3 * 5 + 3 * 10 + TEXTS * 10;

/// What a record has beside its texts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Numbers {
    /// Which board, by its place in the catalogue.
    pub(super) ordinal: u32,
    pub(super) position: u32,
    /// Which of the board's entries: decides between equal positions.
    pub(super) number: u32,
    pub(super) laptime: Option<u64>,
    pub(super) date_time: Option<u64>,
    pub(super) time_diff: f64,
}

/// One result of one driver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Record<'a> {
    pub(super) numbers: Numbers,
    pub(super) texts: Texts<'a>,
}

impl<'a> Record<'a> {
    pub(super) fn of(entry: &'a Entry<'_>, ordinal: u32, number: u32) -> Self {
        let (laptime, date_time) = (packed::pack_laptime(&entry.laptime), packed::pack_date(&entry.date_time));
        let numbers = Numbers {
            ordinal,
            position: position(entry),
            number,
            laptime,
            date_time,
            time_diff: seconds_behind(&entry.relative_laptime),
        };
        let mut texts = [""; TEXTS];
        texts[NAME] = &entry.name;
        texts[COUNTRY] = &entry.country;
        texts[CAR] = &entry.car;
        texts[CAR_CLASS] = &entry.car_class;
        texts[TEAM] = &entry.team;
        texts[RANK] = &entry.rank;
        texts[DIFFICULTY] = &entry.difficulty;
        if laptime.is_none() {
            texts[LAPTIME] = &entry.laptime;
        }
        if date_time.is_none() {
            texts[DATE_TIME] = &entry.date_time;
        }
        Self { numbers, texts }
    }

    /// No fewer bytes than [`Record::write`] appends.
    pub(super) fn most_bytes(&self) -> usize {
        MOST_AROUND + self.texts.iter().map(|text| text.len()).sum::<usize>()
    }

    /// Appends the record; texts that are those of `before` are not repeated.
    pub(super) fn write<S: AsRef<str>>(&self, before: &[S; TEXTS], out: &mut Vec<u8>) {
        let Numbers { ordinal, position, number, laptime, date_time, time_diff } = self.numbers;
        let gap = packed::pack_seconds(time_diff);
        let mut flags = 0;
        for (number, (text, before)) in self.texts.iter().zip(before).enumerate() {
            flags |= u16::from(*text == before.as_ref()) << number;
        }
        for (flag, number) in [(LAPTIME_PACKED, laptime), (DATE_PACKED, date_time), (GAP_PACKED, gap.map(u64::from))] {
            flags |= if number.is_some() { flag } else { 0 };
        }
        out.extend_from_slice(&flags.to_le_bytes());
        for number in [ordinal, position, number].map(u64::from) {
            write_number(number, out);
        }
        for number in [laptime, date_time].into_iter().flatten() {
            write_number(number, out);
        }
        match gap {
            Some(gap) => write_number(u64::from(gap), out),
            None => out.extend_from_slice(&time_diff.to_bits().to_le_bytes()),
        }
        for (number, text) in self.texts.iter().enumerate() {
            if flags & 1 << number == 0 {
                write_number(text.len() as u64, out);
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
}

/// An entry's position as the exports have it.
pub(super) fn position(entry: &Entry<'_>) -> u32 {
    entry.index.map_or(1, |index| index.saturating_add(1))
}

/// A record being read: first its numbers, then the texts that differ from those before, one by one.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) numbers: Numbers,
    flags: u16,
    rest: &'a [u8],
}

impl<'a> Reading<'a> {
    /// Begins to read a record that stands at the start of `bytes`. `None` where none can stand there.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let (flags, mut rest) = bytes.split_first_chunk()?;
        let flags = u16::from_le_bytes(*flags);
        let mut small = || u32::try_from(read_number(&mut rest)?).ok();
        let (ordinal, position, number) = (small()?, small()?, small()?);
        let mut packed = |flag| if flags & flag == 0 { Some(None) } else { read_number(&mut rest).map(Some) };
        let (laptime, date_time) = (packed(LAPTIME_PACKED)?, packed(DATE_PACKED)?);
        let time_diff = if flags & GAP_PACKED == 0 {
            let (bits, after) = rest.split_first_chunk()?;
            rest = after;
            f64::from_bits(u64::from_le_bytes(*bits))
        } else {
            packed::unpack_seconds(u32::try_from(read_number(&mut rest)?).ok()?)
        };
        let numbers = Numbers { ordinal, position, number, laptime, date_time, time_diff };
        Some(Self { numbers, flags, rest })
    }

    /// Hands over each text that is not that of the record before; returns what stands after the record.
    pub(super) fn texts(self, mut each: impl FnMut(usize, &'a str)) -> Option<&'a [u8]> {
        let mut rest = self.rest;
        for number in 0..TEXTS {
            if self.flags & 1 << number == 0 {
                let length = usize::try_from(read_number(&mut rest)?).ok()?;
                let (text, after) = rest.split_at_checked(length)?;
                each(number, std::str::from_utf8(text).ok()?);
                rest = after;
            }
        }
        Some(rest)
    }

    /// The name, of a record that was written after one without texts.
    pub(super) fn name(mut self) -> Option<&'a str> {
        let length = usize::try_from(read_number(&mut self.rest)?).ok()?;
        std::str::from_utf8(self.rest.get(..length)?).ok()
    }
}

/// Appends a number in as many bytes as it needs, seven bits in each.
#[expect(clippy::cast_possible_truncation, reason = "the lower seven bits are meant")]
fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_number(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// The first bytes of a name's key: where these differ, they decide.
pub(super) fn key_prefix(key: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = key.len().min(8);
    first[..length].copy_from_slice(&key[..length]);
    u64::from_be_bytes(first)
}

/// Compares two names by their keys, without making these.
pub(super) fn compare_keys(a: &str, b: &str) -> Ordering {
    if a == b {
        Ordering::Equal
    } else if a.is_ascii() && b.is_ascii() {
        a.bytes().map(|byte| byte.to_ascii_lowercase()).cmp(b.bytes().map(|byte| byte.to_ascii_lowercase()))
    } else if a.contains(FINAL) || b.contains(FINAL) {
        let (mut one, mut other) = (String::new(), String::new());
        push_key(a, &mut one);
        push_key(b, &mut other);
        one.cmp(&other)
    } else {
        a.chars().flat_map(char::to_lowercase).cmp(b.chars().flat_map(char::to_lowercase))
    }
}

/// The one letter whose lower case depends on what stands around it.
const FINAL: char = 'Σ';

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8], before: &[String; TEXTS]) -> Option<(Numbers, [String; TEXTS], usize)> {
        let (mut texts, reading) = (before.clone(), Reading::new(bytes)?);
        let numbers = reading.numbers;
        let rest = reading.texts(|number, text| text.clone_into(&mut texts[number]))?;
        Some((numbers, texts, rest.len()))
    }

    fn texts() -> impl Strategy<Value = [String; TEXTS]> {
        proptest::collection::vec("\\PC{0,4}", TEXTS).prop_map(|it| it.try_into().unwrap())
    }

    fn name() -> impl Strategy<Value = String> {
        "[abABςσΣİıßẞéÉДдǄǅǆȺ佐 ]{0,12}"
    }

    proptest! {
        #[test]
        fn a_record_reads_back(
            before in texts(), mut texts in texts(), same in 0..TEXTS, ordinal: u32, position: u32, number: u32,
            laptime in proptest::option::of(0u64..1 << 61), date_time in proptest::option::of(0u64..1 << 63),
            time_diff in prop_oneof![(0u32..1 << 31).prop_map(|ms| f64::from(ms) / 1000.0), any::<f64>()],
        ) {
            texts[same].clone_from(&before[same]);
            let numbers = Numbers { ordinal, position, number, laptime, date_time, time_diff };
            let record = Record { numbers, texts: std::array::from_fn(|number| texts[number].as_str()) };
            let mut bytes = Vec::new();
            record.write(&before, &mut bytes);
            prop_assert!(bytes.len() <= record.most_bytes());
            bytes.push(7);
            let (again, its_texts, rest) = read(&bytes, &before).unwrap();
            prop_assert_eq!(again.time_diff.to_bits(), time_diff.to_bits());
            prop_assert_eq!(Numbers { time_diff: 0.0, ..again }, Numbers { time_diff: 0.0, ..numbers });
            prop_assert_eq!(its_texts, texts);
            prop_assert_eq!(rest, 1);
        }

        #[test]
        fn garbage_is_no_record_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes, &Default::default());
            let _ = Reading::new(&bytes).and_then(Reading::name);
        }

        #[test]
        fn names_compare_as_their_keys_do(a in name(), b in name()) {
            let key = |name: &str| {
                let mut key = String::new();
                push_key(name, &mut key);
                key
            };
            let (one, other) = (key(&a), key(&b));
            prop_assert_eq!(compare_keys(&a, &b), one.cmp(&other));
            prop_assert!(one > other || key_prefix(one.as_bytes()) <= key_prefix(other.as_bytes()));
        }
    }
}
