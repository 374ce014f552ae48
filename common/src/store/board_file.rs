//! Reads a cached board: `{"track_info":{…,"Data":[ENTRY,…]},…}` in one gzip member.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::json::{self, Found, Sink};
use crate::domain::{Combination, MAX_BOARD_ENTRIES};
use crate::runtime::fs::{make_room, without_bom};

/// The limit of a board's JSON, and so of what a damaged file or a hostile service can make a job hold. It is twice what 60,000
/// drivers on one board would need.
pub const MAX_BOARD_BYTES: usize = 128 << 20;

/// Why a file is not a valid board.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// A folder instead of a file, or a bad sector.
    #[error("unreadable: {0}")]
    Unreadable(std::io::Error),
    /// Truncated, a wrong checksum, or not gzip.
    #[error("not a complete gzip file: {0}")]
    Gzip(std::io::Error),
    /// Browsers refuse a file with anything after the first gzip member.
    #[error("{0} bytes after the gzip member")]
    Trailing(usize),
    /// More JSON than [`MAX_BOARD_BYTES`].
    #[error("more than {} MiB of JSON", MAX_BOARD_BYTES >> 20)]
    TooLarge,
    /// More entries than [`MAX_BOARD_ENTRIES`].
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
    /// Not the board of its path.
    #[error("contains the board {found}")]
    OtherBoard {
        /// `track-class` from the file.
        found: String,
    },
}

/// Receives the entries of a board, in order.
pub trait Entries<'a> {
    /// What an entry is read as.
    type Entry: Deserialize<'a>;
    /// Discards all entries so far, because the file has a second `Data`.
    fn restart(&mut self);
    /// Receives an entry.
    fn entry(&mut self, entry: Self::Entry);
}

/// What a board file contains besides the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardHead<'a> {
    /// The track layout's name.
    pub name: Cow<'a, str>,
}

/// The size of a board's text according to the gzip trailer, which may be wrong in a damaged file.
pub(super) fn declared_bytes(compressed: &[u8]) -> usize {
    let declared = compressed.last_chunk::<4>().map_or(0, |trailer| u32::from_le_bytes(*trailer) as usize);
    // Deflate expands at most 1,032 times.
    declared.min(compressed.len().saturating_mul(1032)).min(MAX_BOARD_BYTES)
}

/// Inflates a board file into `text`, replacing its content. It allocates no more than the file declares.
pub(super) fn inflate<'t>(compressed: &[u8], text: &'t mut Vec<u8>) -> Result<&'t str, Damage> {
    let declared = declared_bytes(compressed);
    make_room(text, declared + 1);
    let mut decoder = GzDecoder::new(compressed);
    decoder.by_ref().take(declared as u64 + 1).read_to_end(text).map_err(Damage::Gzip)?;
    if text.len() > declared {
        // The trailer is wrong; reading on finds out how.
        let longer = || io::Error::new(io::ErrorKind::InvalidData, "longer than its trailer declares");
        return Err(measure(compressed).err().unwrap_or_else(|| Damage::Gzip(longer())));
    }
    match decoder.into_inner() {
        [] => Ok(std::str::from_utf8(without_bom(text))?),
        rest => Err(Damage::Trailing(rest.len())),
    }
}

/// Inflates a board file without keeping it, and returns the size of its text.
pub(super) fn measure(compressed: impl BufRead) -> Result<usize, Damage> {
    let mut decoder = GzDecoder::new(compressed);
    let limit = MAX_BOARD_BYTES as u64 + 1;
    let bytes = io::copy(&mut decoder.by_ref().take(limit), &mut io::sink()).map_err(Damage::Gzip)?;
    if bytes == limit {
        return Err(Damage::TooLarge);
    }
    let rest = io::copy(&mut decoder.into_inner(), &mut io::sink()).map_err(Damage::Gzip)?;
    let small = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
    if rest > 0 { Err(Damage::Trailing(small(rest))) } else { Ok(small(bytes)) }
}

/// Parses the JSON of board `expected` and passes its entries on.
pub(super) fn parse<'a>(
    text: &'a str,
    expected: Combination,
    entries: &mut impl Entries<'a>,
) -> Result<BoardHead<'a>, Damage> {
    let mut parser =
        BoardParser { entries, count: 0, name: Cow::default(), track_id: Cow::default(), class_id: Cow::default() };
    match json::walk(text, &["track_info", "Data"], &mut parser)? {
        Found::Array | Found::Null => {}
        Found::Nothing => return Err(Damage::NoData),
    }
    if parser.count > MAX_BOARD_ENTRIES {
        return Err(Damage::TooMany);
    }
    let found = format!("{}-{}", parser.track_id, parser.class_id);
    if found.parse() != Ok(expected) {
        return Err(Damage::OtherBoard { found: found.chars().take(64).collect() });
    }
    Ok(BoardHead { name: parser.name })
}

struct BoardParser<'a, 's, E> {
    entries: &'s mut E,
    count: usize,
    name: Cow<'a, str>,
    track_id: Cow<'a, str>,
    class_id: Cow<'a, str>,
}

impl<'a, E: Entries<'a>> Sink<'a> for BoardParser<'a, '_, E> {
    type Element = E::Entry;

    fn object(&mut self, depth: usize) {
        if depth == 1 {
            (self.name, self.track_id, self.class_id) = Default::default();
        }
    }

    fn member(&mut self, depth: usize, key: &str, value: &'a RawValue) {
        // Inside `track_info`; the copies outside are for people.
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

    fn element(&mut self, element: E::Entry) {
        self.count += 1;
        if self.count <= MAX_BOARD_ENTRIES {
            self.entries.entry(element);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::board_encoder::{BoardEncoder, json_string};
    use super::*;
    use crate::domain::Validators;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn encoder(name: &str) -> BoardEncoder {
        BoardEncoder::new("2-3".parse().unwrap(), name, &Validators::default())
    }

    #[derive(Default)]
    struct Collected(Vec<String>);
    impl<'a> Entries<'a> for Collected {
        type Entry = &'a RawValue;
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
        let (mut text, mut seen) = (Vec::new(), Collected::default());
        let text = inflate(file, &mut text).map_err(|e| e.to_string())?;
        let head = parse(text, board.parse().unwrap(), &mut seen).map_err(|e| e.to_string())?;
        Ok((head.name.into_owned(), seen.0))
    }

    #[test]
    fn any_layout_and_key_order_is_read() {
        let text = b"{ \"entry_count\": 1, \"track_info\": {\n \"Data\": [ {\"a\": 1} ], \"ClassID\": \"3\",\n\
                     \"TrackID\": \"2\", \"Name\": \"N\" } }";
        assert_eq!(read(&gzip(text), "2-3"), Ok(("N".to_owned(), vec!["{\"a\": 1}".to_owned()])));
        let marked = [b"\xef\xbb\xbf", &text[..]].concat();
        assert_eq!(read(&gzip(&marked), "2-3"), read(&gzip(text), "2-3"));
        let text = b"{\"track_info\":{\"Name\":\"N\",\"TrackID\":\"2\",\"ClassID\":\"3\",\"Data\":null}}";
        assert_eq!(read(&gzip(text), "2-3"), Ok(("N".to_owned(), vec![])));
    }

    #[test]
    fn the_last_of_two_track_infos_counts() {
        let text = b"{\"track_info\":{\"Name\":\"A\",\"TrackID\":\"2\",\"ClassID\":\"3\",\"Data\":[{}]},\"track_info\":{\"Data\":[]}}";
        assert_eq!(read(&gzip(text), "2-3"), Err("contains the board -".to_owned()));
    }

    #[test]
    fn each_kind_of_damage_has_its_error() {
        let whole = encoder("N").finish("t").bytes;
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0xff;
        let mut trailing = whole.clone();
        trailing.extend(b"more");
        let cases: [(&[u8], &str); 9] = [
            (b"", "not a complete gzip file"),
            (b"<html>maintenance</html>", "not a complete gzip file"),
            (&whole[..whole.len() - 5], "not a complete gzip file"),
            (&flipped, "not a complete gzip file"),
            (&trailing, "4 bytes after the gzip member"),
            (&gzip(b"\xff"), "not UTF-8"),
            (&gzip(b"{\"track_info\":{\"Data\":[}"), "not a board's JSON"),
            (&gzip(b"{\"track_info\":{}}"), "no track_info.Data"),
            (&gzip(b"{\"track_info\":{\"TrackID\":\"2\",\"ClassID\":\"4\",\"Data\":[]}}"), "contains the board 2-4"),
        ];
        for (file, expected) in cases {
            // Without keeping the text, the result is the same.
            let measured = measure(file);
            assert_eq!(
                measured.is_err(),
                matches!(expected, "not a complete gzip file" | "4 bytes after the gzip member")
            );
            if let Err(damage) = measured {
                assert!(damage.to_string().contains(expected), "{expected}: {damage}");
            }
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
        assert!(matches!(measure(bomb.as_slice()), Err(Damage::TooLarge)));
        let mut liar = gzip(&[b' '; 1000]);
        let length = liar.len();
        liar[length - 4..].copy_from_slice(&7u32.to_le_bytes());
        let (mut text, message) = (Vec::new(), read(&liar, "2-3").unwrap_err());
        assert!(message.contains("not a complete gzip file"), "{message}");
        assert!(inflate(&liar, &mut text).is_err() && text.capacity() < 1000);
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(name in "\\PC{0,20}", values in proptest::collection::vec("\\PC{0,30}", 0..6)) {
            let mut encoder = encoder(&name);
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
