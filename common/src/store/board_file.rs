//! One cached board as bytes: `{"track_info":{…,"Data":[ENTRY,…]},…}` in one gzip member.

use std::borrow::Cow;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::value::RawValue;

use crate::domain::json::{self, Found, Sink};
use crate::domain::{Combination, Entry};

/// The most bytes of JSON that one board may have: what a garbage file or a hostile service can make a job hold.
/// Twice what 60,000 drivers, all on one board, would need.
pub const MAX_BOARD_BYTES: usize = 128 << 20;

/// The most entries that one board may have.
pub const MAX_BOARD_ENTRIES: usize = 200_000;

/// Why a file is not the board it should be.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// A folder where the file should be, or a sector that cannot be read.
    #[error("unreadable: {0}")]
    Unreadable(std::io::Error),
    /// The gzip member is cut short, or its checksum is wrong, or it is no gzip.
    #[error("not a whole gzip file: {0}")]
    Gzip(std::io::Error),
    /// Browsers refuse a file with anything after the first gzip member.
    #[error("{0} bytes after the gzip member")]
    Trailing(usize),
    /// More JSON than any board has.
    #[error("more than {} MiB of JSON", MAX_BOARD_BYTES >> 20)]
    TooLarge,
    /// More entries than any board has.
    #[error("more than {MAX_BOARD_ENTRIES} entries")]
    TooMany,
    /// Not UTF-8.
    #[error("not UTF-8: {0}")]
    Utf8(#[from] std::str::Utf8Error),
    /// Not JSON of a board's shape.
    #[error("not a board's JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON without `track_info.Data`.
    #[error("no track_info.Data in it")]
    NoData,
    /// Another board than its path says.
    #[error("holds the board {found}")]
    OtherBoard {
        /// `track-class` as the file has it.
        found: String,
    },
}

/// Takes the entries of a board in board order.
pub trait Entries<'a> {
    /// What came before is void: `Data` stands twice in the file.
    fn restart(&mut self);
    /// One entry's raw text.
    fn entry(&mut self, raw: &'a RawValue);
}

/// What a board file says of itself beside the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardHead<'a> {
    /// The track layout's name.
    pub name: Cow<'a, str>,
}

/// Inflates a board file into `text`, which is emptied before.
pub(super) fn inflate<'t>(compressed: &[u8], text: &'t mut Vec<u8>) -> Result<&'t str, Damage> {
    text.clear();
    // The trailer tells the length, but a garbage file may lie: deflate expands at most 1,032 times.
    if let Some(trailer) = compressed.last_chunk::<4>() {
        let told = u32::from_le_bytes(*trailer) as usize;
        text.reserve(told.min(compressed.len().saturating_mul(1032)).min(MAX_BOARD_BYTES) + 1);
    }
    let mut decoder = GzDecoder::new(compressed);
    decoder.by_ref().take(MAX_BOARD_BYTES as u64 + 1).read_to_end(text).map_err(Damage::Gzip)?;
    if text.len() > MAX_BOARD_BYTES {
        return Err(Damage::TooLarge);
    }
    match decoder.into_inner() {
        [] => Ok(std::str::from_utf8(text)?),
        rest => Err(Damage::Trailing(rest.len())),
    }
}

/// Reads a board's JSON, handing its entries to `entries`; it must be the board of `expected`.
pub(super) fn parse<'a>(
    text: &'a str,
    expected: Combination,
    entries: &mut impl Entries<'a>,
) -> Result<BoardHead<'a>, Damage> {
    let mut reading =
        Reading { entries, count: 0, name: Cow::default(), track_id: Cow::default(), class_id: Cow::default() };
    match json::walk(text, &["track_info", "Data"], &mut reading)? {
        Found::Array | Found::Null => {}
        Found::Nothing => return Err(Damage::NoData),
    }
    if reading.count > MAX_BOARD_ENTRIES {
        return Err(Damage::TooMany);
    }
    let found = format!("{}-{}", reading.track_id, reading.class_id);
    if found.parse() != Ok(expected) {
        return Err(Damage::OtherBoard { found: found.chars().take(64).collect() });
    }
    Ok(BoardHead { name: reading.name })
}

struct Reading<'a, 's, E> {
    entries: &'s mut E,
    count: usize,
    name: Cow<'a, str>,
    track_id: Cow<'a, str>,
    class_id: Cow<'a, str>,
}

impl<'a, E: Entries<'a>> Sink<'a> for Reading<'a, '_, E> {
    fn object(&mut self, depth: usize) {
        if depth == 1 {
            (self.name, self.track_id, self.class_id) = Default::default();
        }
    }

    fn member(&mut self, depth: usize, key: &str, value: &'a RawValue) {
        // Inside `track_info`; the copies of these fields beside it are for people.
        let field = match (depth, key) {
            (1, "Name") => &mut self.name,
            (1, "TrackID") => &mut self.track_id,
            (1, "ClassID") => &mut self.class_id,
            _ => return,
        };
        *field = json::text(value).unwrap_or_default();
    }

    fn begin(&mut self) {
        self.count = 0;
        self.entries.restart();
    }

    fn element(&mut self, value: &'a RawValue) {
        self.count += 1;
        if self.count <= MAX_BOARD_ENTRIES {
            self.entries.entry(value);
        }
    }
}

/// A whole board, ready to be written.
#[derive(Debug)]
pub struct EncodedBoard {
    /// Which board.
    pub combination: Combination,
    /// The file's bytes: one gzip member.
    pub bytes: Vec<u8>,
    /// How many entries it holds.
    pub entries: usize,
    /// How many of them have a driver: none, and the board counts as empty.
    pub drivers: usize,
}

/// Builds a board file while its pages arrive, so that only compressed bytes are kept of those already here.
#[derive(Debug)]
pub struct BoardEncoder {
    combination: Combination,
    name: String,
    gzip: GzEncoder<Vec<u8>>,
    entries: usize,
    drivers: usize,
    json_bytes: usize,
}

/// Writing into a `Vec` cannot fail, and the encoder is not used after `finish`.
const INTO_MEMORY: &str = "compressing into memory cannot fail";

#[expect(clippy::expect_used, reason = "see INTO_MEMORY")]
impl BoardEncoder {
    /// Begins the board of a track layout of that name.
    ///
    /// # Panics
    /// Never: it writes to memory.
    #[must_use]
    pub fn new(combination: Combination, name: &str) -> Self {
        let gzip = GzEncoder::new(Vec::new(), Compression::new(6));
        let mut it = Self { combination, name: json_string(name), gzip, entries: 0, drivers: 0, json_bytes: 0 };
        let Combination { track, class } = combination;
        write!(it.gzip, r#"{{"track_info":{{"Name":{},"TrackID":"{track}","ClassID":"{class}","Data":["#, it.name)
            .expect(INTO_MEMORY);
        it
    }

    /// How many entries it holds by now.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Appends an entry; says `false`, and takes nothing more, once the board is larger than a board may be.
    ///
    /// # Panics
    /// Never: it writes to memory.
    #[must_use]
    pub fn push(&mut self, raw: &RawValue) -> bool {
        let text = raw.get();
        // Room is left for what stands around the entries.
        if self.entries == MAX_BOARD_ENTRIES || self.json_bytes + text.len() + (1 << 16) > MAX_BOARD_BYTES {
            return false;
        }
        if self.entries > 0 {
            self.gzip.write_all(b",").expect(INTO_MEMORY);
        }
        self.gzip.write_all(text.as_bytes()).expect(INTO_MEMORY);
        self.entries += 1;
        self.drivers += usize::from(Entry::read(raw).is_some());
        self.json_bytes += text.len() + 1;
        true
    }

    /// Ends the board; `cached_at` is when it was fetched, in RFC 3339.
    ///
    /// # Panics
    /// Never: it writes to memory.
    #[must_use]
    pub fn finish(mut self, cached_at: &str) -> EncodedBoard {
        let track = self.combination.track;
        write!(
            self.gzip,
            r#"]}},"cached_at":{},"track_name":{},"track_id":"{track}","entry_count":{}}}"#,
            json_string(cached_at),
            self.name,
            self.entries
        )
        .expect(INTO_MEMORY);
        let bytes = self.gzip.finish().expect(INTO_MEMORY);
        EncodedBoard { combination: self.combination, bytes, entries: self.entries, drivers: self.drivers }
    }
}

/// A text as a JSON string with its quotes.
fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Seen(Vec<String>);
    impl<'a> Entries<'a> for Seen {
        fn restart(&mut self) {
            self.0.clear();
        }
        fn entry(&mut self, raw: &'a RawValue) {
            self.0.push(raw.get().to_owned());
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(file: &[u8], board: &str) -> Result<(String, Vec<String>), String> {
        let (mut text, mut seen) = (Vec::new(), Seen::default());
        let text = inflate(file, &mut text).map_err(|e| e.to_string())?;
        let head = parse(text, board.parse().unwrap(), &mut seen).map_err(|e| e.to_string())?;
        Ok((head.name.into_owned(), seen.0))
    }

    #[test]
    fn any_layout_and_key_order_is_read() {
        let text = b"{ \"entry_count\": 1, \"track_info\": {\n \"Data\": [ {\"a\": 1} ], \"ClassID\": \"3\",\n\
                     \"TrackID\": \"2\", \"Name\": \"N\" } }";
        assert_eq!(read(&gzip(text), "2-3"), Ok(("N".to_owned(), vec!["{\"a\": 1}".to_owned()])));
        let text = b"{\"track_info\":{\"Name\":\"N\",\"TrackID\":\"2\",\"ClassID\":\"3\",\"Data\":null}}";
        assert_eq!(read(&gzip(text), "2-3"), Ok(("N".to_owned(), vec![])));
    }

    #[test]
    fn of_a_double_track_info_the_last_counts() {
        let text = b"{\"track_info\":{\"Name\":\"A\",\"TrackID\":\"2\",\"ClassID\":\"3\",\"Data\":[{}]},\"track_info\":{\"Data\":[]}}";
        assert_eq!(read(&gzip(text), "2-3"), Err("holds the board -".to_owned()));
    }

    #[test]
    fn each_kind_of_damage_is_told() {
        let whole = BoardEncoder::new("2-3".parse().unwrap(), "N").finish("t").bytes;
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0xff;
        let mut trailing = whole.clone();
        trailing.extend(b"more");
        let cases: [(&[u8], &str); 9] = [
            (b"", "not a whole gzip file"),
            (b"<html>maintenance</html>", "not a whole gzip file"),
            (&whole[..whole.len() - 5], "not a whole gzip file"),
            (&flipped, "not a whole gzip file"),
            (&trailing, "4 bytes after the gzip member"),
            (&gzip(b"\xff"), "not UTF-8"),
            (&gzip(b"{\"track_info\":{\"Data\":[}"), "not a board's JSON"),
            (&gzip(b"{\"track_info\":{}}"), "no track_info.Data"),
            (&gzip(b"{\"track_info\":{\"TrackID\":\"2\",\"ClassID\":\"4\",\"Data\":[]}}"), "holds the board 2-4"),
        ];
        for (file, expected) in cases {
            let message = read(file, "2-3").unwrap_err();
            assert!(message.contains(expected), "{expected}: {message}");
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let block = vec![b' '; 1 << 20];
        for _ in 0..=(MAX_BOARD_BYTES >> 20) {
            encoder.write_all(&block).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        assert!(read(&bomb, "2-3").unwrap_err().contains("more than 128 MiB"));
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(name in "\\PC{0,20}", values in proptest::collection::vec("\\PC{0,30}", 0..6)) {
            let mut encoder = BoardEncoder::new("2-3".parse().unwrap(), &name);
            let entries: Vec<String> = values.iter().map(|it| format!("{{\"k\": {}}}", json_string(it))).collect();
            for entry in &entries {
                prop_assert!(encoder.push(&RawValue::from_string(entry.clone()).unwrap()));
            }
            let board = encoder.finish("2026-11-23T04:00:11.5Z");
            prop_assert_eq!(board.entries, entries.len());
            prop_assert_eq!(read(&board.bytes, "2-3"), Ok((name, entries)));
        }

        #[test]
        fn garbage_is_damage_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes, "2-3").is_err());
            prop_assert!(read(&gzip(&bytes), "2-3").is_err());
        }
    }
}
