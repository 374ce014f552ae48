//! Compares a fetched board with the cached one.

use serde_json::Value;
use serde_json::value::RawValue;

use super::board_encoder::{EncodedBoard, EntriesDigest};
use super::board_file::{self, Entries};
use super::cache::{Buffers, Cache, ReadError};
use crate::domain::Entry;

/// A board may lose this many entries, or this share of them, without suspicion: results are deleted now and then.
const MAX_LOST_ENTRIES: usize = 5;
const MAX_LOST_PERCENT: usize = 2;

/// Whether a board lost so many entries that the response may be wrong. For a board without any entries see
/// [`Arrival::Kept`].
#[must_use]
pub fn has_shrunk(before: usize, after: usize) -> bool {
    let lost = before.saturating_sub(after);
    after > 0 && lost > MAX_LOST_ENTRIES && lost > before * MAX_LOST_PERCENT / 100
}

/// Where a changed board is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To staging, to be promoted with others.
    Staging,
    /// To its final path at once.
    Cache,
}

/// What became of a fetched board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Its entries differ from the cached ones: it was written.
    Changed,
    /// Its entries equal the cached ones: only the file's time was renewed.
    Unchanged,
    /// It has no entries, and had none before.
    Empty,
    /// It has no entries, and the cached board with entries was kept.
    Kept,
}

/// The board was refused because it is much smaller than the cached one, which was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shrunk {
    /// The number of entries of the cached board.
    pub cached: usize,
}

/// What to do with a board that is much smaller than the cached one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shrinking {
    /// Refuse it with [`Shrunk`].
    Refused,
    /// Accept it, because the service has sent it twice.
    Accepted,
}

/// A fetched board compared with the cached one, which need not exist.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Whether name and entries are equal.
    pub(super) same: bool,
    /// Whether the cached board has drivers. Only determined if the fetched one has none.
    pub(super) drivers: bool,
    /// The number of entries of the cached board.
    pub(super) entries: usize,
}

/// Reads the cached board and compares it with a fetched one.
pub(super) fn compare(cache: &Cache, board: &EncodedBoard) -> Result<Comparison, ReadError> {
    let mut buffers = Buffers::default();
    let mut cached = Cached { count_drivers: board.drivers == 0, ..Cached::new() };
    let Some((head, _)) = cache.read(board.combination, &mut buffers, &mut cached)? else {
        return Ok(Comparison::default());
    };
    let (drivers, same_name) = (cached.drivers > 0, head.name == board.name.as_str());
    let mut same = cached.digest.value() == board.digest;
    if !same && cached.indented && cached.entries == board.entries {
        let mut normalised = Normalised(EntriesDigest::new());
        cache.read(board.combination, &mut buffers, &mut normalised)?;
        same = Some(normalised.0.value()) == digest_of_values(board);
    }
    Ok(Comparison { same: same && same_name, drivers, entries: cached.entries })
}

struct Cached {
    digest: EntriesDigest,
    entries: usize,
    count_drivers: bool,
    drivers: usize,
    /// Whether entries are indented, as the older program writes them.
    indented: bool,
}

impl Cached {
    fn new() -> Self {
        Self { digest: EntriesDigest::new(), entries: 0, count_drivers: false, drivers: 0, indented: false }
    }
}

impl<'a> Entries<'a> for Cached {
    type Entry = &'a RawValue;

    fn restart(&mut self) {
        *self = Self { count_drivers: self.count_drivers, ..Self::new() };
    }

    fn entry(&mut self, raw: &'a RawValue) {
        self.digest.entry(raw);
        self.entries += 1;
        self.indented |= raw.get().contains('\n');
        self.drivers += usize::from(self.count_drivers && Entry::read(raw).is_some());
    }
}

/// A digest that ignores layout and the order of keys. It is slow, since it parses each entry into a tree, and so only used
/// for files of another layout.
struct Normalised(EntriesDigest);

impl<'a> Entries<'a> for Normalised {
    type Entry = &'a RawValue;

    fn restart(&mut self) {
        self.0.restart();
    }

    fn entry(&mut self, raw: &'a RawValue) {
        let value: Result<Value, _> = serde_json::from_str(raw.get());
        match value.and_then(|value| serde_json::value::to_raw_value(&value)) {
            Ok(again) => self.0.entry(&again),
            // Half a surrogate pair, or deeply nested: compared as text.
            Err(_) => self.0.entry(raw),
        }
    }
}

fn digest_of_values(board: &EncodedBoard) -> Option<u64> {
    let (mut text, mut normalised) = (Vec::new(), Normalised(EntriesDigest::new()));
    let text = board_file::inflate(&board.bytes, &mut text).ok()?;
    board_file::parse(text, board.combination, &mut normalised).ok()?;
    Some(normalised.0.value())
}

#[cfg(test)]
mod tests {
    use super::super::BoardEncoder;
    use super::*;
    use crate::domain::Validators;
    use crate::runtime::fs;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    fn encode(name: &str, entries: &[&str]) -> EncodedBoard {
        let mut encoder = BoardEncoder::new("2-3".parse().unwrap(), name, &Validators::default());
        for &entry in entries {
            assert!(encoder.push(&RawValue::from_string(entry.to_owned()).unwrap()));
        }
        encoder.finish("t")
    }

    /// A cache with one board file.
    fn cache(file: &[u8]) -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let path = cache.board_path("2-3".parse().unwrap());
        fs::create_folders(fs::parent(&path)).unwrap();
        fs::write_whole(&path, file).unwrap();
        (folder, cache)
    }

    const ONE: &str = r#"{"driver":{"name":"x"},"index":0}"#;
    const TWO: &str = r#"{"driver":{"name":"y"},"index":1}"#;

    #[test]
    fn boards_are_equal_if_name_entries_and_order_are() {
        let (_folder, cache) = cache(&encode("N", &[ONE, TWO]).bytes);
        let same = |name, entries: &[&str]| compare(&cache, &encode(name, entries)).unwrap().same;
        assert!(same("N", &[ONE, TWO]));
        for (name, entries) in [("M", &[ONE, TWO][..]), ("N", &[TWO, ONE]), ("N", &[ONE]), ("N", &[ONE, TWO, TWO])] {
            assert!(!same(name, entries), "{name} {entries:?}");
        }
        assert_eq!(compare(&cache, &encode("N", &[])).unwrap(), Comparison { same: false, drivers: true, entries: 2 });
    }

    #[test]
    fn where_an_entry_ends_matters() {
        let (_folder, cache) = cache(&encode("N", &["{}", "{}"]).bytes);
        assert!(!compare(&cache, &encode("N", &["{}", "{}", "{}"])).unwrap().same);
    }

    #[test]
    fn layout_does_not_matter() {
        let indented = "{\n \"track_info\": {\"Name\": \"N\", \"TrackID\": \"2\", \"ClassID\": \"3\", \"Data\": [\n  {\n   \
                        \"index\": 0,\n   \"driver\": {\"name\": \"x \\u0026 y\"}\n  }\n ]\n}}";
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(indented.as_bytes()).unwrap();
        let (_folder, cache) = cache(&gzip.finish().unwrap());
        assert!(compare(&cache, &encode("N", &[r#"{"driver":{"name":"x & y"},"index":0}"#])).unwrap().same);
        for other in [r#"{"driver":{"name":"x & y"},"index":1}"#, ONE, "{}"] {
            assert!(!compare(&cache, &encode("N", &[other])).unwrap().same, "{other}");
        }
    }

    #[test]
    fn a_few_entries_may_be_lost_and_no_more() {
        for (before, after) in
            [(0, 0), (0, 9), (9, 9), (9, 12), (6, 1), (100, 95), (1000, 980), (3200, 3136), (3200, 0)]
        {
            assert!(!has_shrunk(before, after), "{before} to {after}");
        }
        for (before, after) in [(7, 1), (100, 94), (1000, 979), (3200, 3135), (3200, 1000), (3200, 1)] {
            assert!(has_shrunk(before, after), "{before} to {after}");
        }
    }

    #[test]
    fn without_a_cached_board_nothing_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        assert_eq!(compare(&cache, &encode("N", &[ONE])).unwrap(), Comparison::default());
    }
}
