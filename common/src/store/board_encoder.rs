//! Encodes a board as a file while its pages arrive. `board_file` reads it.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::io::Write as _;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::value::RawValue;

use super::board_file::{Entries, MAX_BOARD_BYTES};
use super::board_version;
use crate::domain::{BoardSink, Combination, Entry, MAX_BOARD_ENTRIES, Validators};

/// A digest of entries and their order. Its key is random for each process, so that nobody can craft a collision.
#[derive(Debug, Clone)]
pub(super) struct EntriesDigest(std::hash::DefaultHasher);

impl EntriesDigest {
    pub(super) fn new() -> Self {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(KEY.build_hasher())
    }

    pub(super) fn value(&self) -> u64 {
        self.0.finish()
    }
}

impl<'a> Entries<'a> for EntriesDigest {
    type Entry = &'a RawValue;

    fn restart(&mut self) {
        *self = Self::new();
    }

    fn entry(&mut self, raw: &'a RawValue) {
        raw.get().hash(&mut self.0);
    }
}

/// A whole board, ready to be written.
#[derive(Debug)]
pub struct EncodedBoard {
    /// The board's id.
    pub combination: Combination,
    /// The file's bytes: one gzip member.
    pub bytes: Vec<u8>,
    /// The number of entries.
    pub entries: usize,
    /// The number of entries with a driver. Without any, the board counts as empty.
    pub drivers: usize,
    /// The track layout's name.
    pub(super) name: String,
    /// A digest of the entries.
    pub(super) digest: u64,
}

/// Compresses a board while its pages arrive, so that memory holds no more than one page of text.
#[derive(Debug)]
pub struct BoardEncoder {
    combination: Combination,
    name: String,
    gzip: GzEncoder<Vec<u8>>,
    entries: usize,
    drivers: usize,
    json_bytes: usize,
    digest: EntriesDigest,
}

/// Writing into a `Vec` cannot fail, and the encoder is not used after `finish`.
const INTO_MEMORY: &str = "compressing into memory cannot fail";

#[expect(clippy::expect_used, reason = "see INTO_MEMORY")]
impl BoardEncoder {
    /// Begins a board. `name` is the track layout's. The version, if any, comes first in the file, where it can be read without
    /// the rest.
    ///
    /// # Panics
    /// Never: it writes to memory.
    #[must_use]
    pub fn new(combination: Combination, name: &str, validators: &Validators) -> Self {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::new(6));
        gzip.write_all(b"{").expect(INTO_MEMORY);
        if !validators.is_empty() {
            gzip.write_all(board_version::member(validators).as_bytes()).expect(INTO_MEMORY);
            gzip.write_all(b",").expect(INTO_MEMORY);
        }
        let Combination { track, class } = combination;
        let quoted = json_string(name);
        write!(gzip, r#""track_info":{{"Name":{quoted},"TrackID":"{track}","ClassID":"{class}","Data":["#)
            .expect(INTO_MEMORY);
        let digest = EntriesDigest::new();
        Self { combination, name: name.to_owned(), gzip, entries: 0, drivers: 0, json_bytes: 0, digest }
    }

    /// The number of entries so far.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Appends an entry. Returns `false` if the board would exceed its limits.
    ///
    /// # Panics
    /// Never: it writes to memory.
    #[must_use]
    pub fn push(&mut self, raw: &RawValue) -> bool {
        let text = raw.get();
        // Leaves room for the text around the entries.
        if self.entries == MAX_BOARD_ENTRIES || self.json_bytes + text.len() + (1 << 16) > MAX_BOARD_BYTES {
            return false;
        }
        if self.entries > 0 {
            self.gzip.write_all(b",").expect(INTO_MEMORY);
        }
        self.gzip.write_all(text.as_bytes()).expect(INTO_MEMORY);
        self.digest.entry(raw);
        self.entries += 1;
        self.drivers += usize::from(Entry::read(raw).is_some());
        self.json_bytes += text.len() + 1;
        true
    }

    /// Finishes the file. `cached_at` is when the board was fetched, in RFC 3339.
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
            json_string(&self.name),
            self.entries
        )
        .expect(INTO_MEMORY);
        let Self { combination, name, gzip, entries, drivers, digest, .. } = self;
        let bytes = gzip.finish().expect(INTO_MEMORY);
        EncodedBoard { combination, bytes, entries, drivers, name, digest: digest.value() }
    }
}

impl BoardSink for BoardEncoder {
    fn begin(board: Combination, name: &str, version: &Validators) -> Self {
        Self::new(board, name, version)
    }

    fn push(&mut self, entry: &RawValue) -> bool {
        self.push(entry)
    }

    fn entries(&self) -> usize {
        self.entries
    }
}

/// A quoted JSON string.
pub(super) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
