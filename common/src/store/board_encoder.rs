//! Writing one board as bytes, while its pages arrive: what `board_file` reads.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::io::Write as _;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::value::RawValue;

use super::board_file::{Entries, MAX_BOARD_BYTES};
use super::board_version;
use crate::domain::{BoardSink, Combination, Entry, MAX_BOARD_ENTRIES, Validators};

/// Tells lists of entries apart by the text of each and their order, within one process: the key is drawn anew each time,
/// so nobody can make two lists that look alike. Two different lists are taken for the same once in 2^64.
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

impl Entries<'_> for EntriesDigest {
    fn restart(&mut self) {
        *self = Self::new();
    }

    fn entry(&mut self, raw: &RawValue) {
        raw.get().hash(&mut self.0);
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
    /// The track layout's name.
    pub(super) name: String,
    /// Tells whether another list of entries is the same.
    pub(super) digest: u64,
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
    digest: EntriesDigest,
}

/// Writing into a `Vec` cannot fail, and the encoder is not used after `finish`.
const INTO_MEMORY: &str = "compressing into memory cannot fail";

#[expect(clippy::expect_used, reason = "see INTO_MEMORY")]
impl BoardEncoder {
    /// Begins the board of a track layout of that name. What the service said of its version, if anything, stands first
    /// in the file, where it is found without reading the rest.
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
        self.digest.entry(raw);
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

/// A text as a JSON string with its quotes.
pub(super) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
