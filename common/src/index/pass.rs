//! One pass over the cache: all threads read boards into shards, and keep the rows in a range of keys.
//!
//! If these rows do not fit, the pass lowers the upper bound of the range, drops the rows beyond it, and continues reading.
//! So a pass always ends with all rows of its range, but the range may be smaller than at the start.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::boards::Damaged;
use super::error::IndexError;
use super::headroom::{Plan, RUN};
use super::key::KeyRange;
use super::parallel;
use super::sample::Sample;
use super::shard::Shard;
use super::sort_key::SortKey;
use super::split;
use crate::domain::{Catalog, Driver, Element, Entry, Ordinal};
use crate::store::{Buffers, Cache, Entries, ReadError, Within};

/// The number of keys in the sample from which later ranges are chosen.
const SAMPLE: usize = 4096;

/// A board that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    pub(super) ordinal: Ordinal,
    pub(super) written: std::time::SystemTime,
    pub(super) entries: u32,
    /// The gzip trailer (checksum and length), which shows whether the file's content has changed.
    pub(super) trailer: [u8; 8],
}

/// The results of one reading thread, other than rows.
#[derive(Debug)]
pub(super) struct Reader {
    shard: usize,
    buffers: Buffers,
    key: String,
    pub(super) read: Vec<Read>,
    pub(super) damaged: Vec<(Ordinal, Damaged)>,
    /// Boards too large to be read concurrently with others.
    pub(super) large: Vec<Ordinal>,
    pub(super) entries: usize,
    pub(super) nameless: usize,
    pub(super) sample: Option<Sample>,
}

/// The inputs of a pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup<'a> {
    pub(super) cache: &'a Cache,
    pub(super) catalog: &'a Catalog,
    pub(super) stop: &'a CancellationToken,
    pub(super) threads: usize,
    /// The memory budget; `None` without a limit.
    pub(super) plan: Option<Plan>,
    pub(super) purge: fn(),
    /// Bytes that the export holds besides the columns.
    pub(super) held: usize,
    /// The kind of keys in the range.
    pub(super) sort_key: SortKey<'a>,
    /// Whether rows include driver ids and avatars.
    pub(super) with_drivers: bool,
}

/// A running pass.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    setup: Setup<'a>,
    shards: Vec<Mutex<Shard>>,
    /// Bytes that all shards take together; `limit` is what they may take.
    taken: AtomicUsize,
    limit: AtomicUsize,
    /// The largest board that is read in this pass.
    largest: usize,
    narrowing: Mutex<()>,
}

impl<'a> Pass<'a> {
    /// Begins a pass over a range of keys; `largest` is the size of the largest board, as far as it is known.
    pub(super) fn new(setup: Setup<'a>, range: &KeyRange, largest: usize) -> Self {
        let readers = setup.plan.map_or(setup.threads, |plan| plan.readers).max(1);
        Self {
            setup,
            shards: (0..readers).map(|_| Mutex::new(Shard::new(range.clone(), setup.with_drivers))).collect(),
            taken: AtomicUsize::new(0),
            limit: AtomicUsize::new(setup.plan.map_or(usize::MAX, |plan| plan.columns(largest, setup.held))),
            largest,
            narrowing: Mutex::default(),
        }
    }

    /// Reads the boards that `wanted` names, on all threads.
    pub(super) fn read(
        &self,
        sampled: bool,
        wanted: impl Fn(Ordinal) -> bool + Sync,
    ) -> Result<Vec<Reader>, IndexError> {
        let (next, readers) = (AtomicUsize::new(0), self.shards.len());
        let new = || self.reader(next.fetch_add(1, Relaxed), sampled.then(|| Sample::new(SAMPLE / readers)));
        let most = self.setup.plan.map_or(usize::MAX, |plan| plan.board);
        parallel::fold(readers, self.setup.catalog.len(), RUN, new, |reader, number| {
            // A catalogue has at most a million combinations.
            let ordinal = Ordinal(u32::try_from(number).unwrap_or(u32::MAX));
            if wanted(ordinal) && !self.board(reader, ordinal, most)? {
                reader.large.push(ordinal);
            }
            Ok(())
        })
    }

    /// Reads the boards that were too large for [`Pass::read`] one by one, in the memory left beside the columns.
    pub(super) fn read_large(&mut self, large: &[Ordinal], sampled: bool) -> Result<Reader, IndexError> {
        let mut reader = self.reader(0, sampled.then(|| Sample::new(SAMPLE / 4)));
        let Some(plan) = self.setup.plan.filter(|_| !large.is_empty()) else { return Ok(reader) };
        let mut whole = Vec::with_capacity(large.len());
        for &ordinal in large {
            let Some(board) = self.setup.catalog.combination(ordinal) else { continue };
            match self.setup.cache.measure(board) {
                Ok(bytes) => {
                    self.largest = bytes.max(self.largest);
                    whole.push(ordinal);
                }
                Err(ReadError::Damaged { path, damage, file }) => {
                    reader.damaged.push((ordinal, Damaged { board, path, damage, file }));
                }
                Err(ReadError::Store(error)) => return Err(error.into()),
            }
        }
        if self.largest > plan.largest_board() {
            return Err(plan.too_small_for_board(self.largest));
        }
        self.limit.store(plan.columns(self.largest, self.setup.held), Relaxed);
        self.narrow(self.setup.catalog.len())?;
        for ordinal in whole {
            if !self.board(&mut reader, ordinal, self.largest)? {
                // It has grown since it was measured.
                return Err(IndexError::Changed(self.path(ordinal)));
            }
        }
        Ok(reader)
    }

    /// The shards, and the size of the largest board if any was large.
    pub(super) fn end(self) -> (Vec<Shard>, usize) {
        let shards = self.shards.into_iter().map(|it| it.into_inner().unwrap_or_else(PoisonError::into_inner));
        (shards.collect(), self.largest)
    }

    /// Where a board's file stands.
    pub(super) fn path(&self, ordinal: Ordinal) -> std::path::PathBuf {
        self.setup.catalog.combination(ordinal).map(|board| self.setup.cache.board_path(board)).unwrap_or_default()
    }

    fn reader(&self, shard: usize, sample: Option<Sample>) -> Reader {
        Reader {
            shard: shard % self.shards.len(),
            buffers: Buffers::default(),
            key: String::new(),
            read: Vec::new(),
            damaged: Vec::new(),
            large: Vec::new(),
            entries: 0,
            nameless: 0,
            sample: sample.filter(|_| self.setup.plan.is_some()),
        }
    }

    /// Reads a board; returns `false` where it is too large.
    fn board(&self, reader: &mut Reader, ordinal: Ordinal, most: usize) -> Result<bool, IndexError> {
        if self.setup.stop.is_cancelled() {
            return Err(IndexError::Stopped);
        }
        let Some(board) = self.setup.catalog.combination(ordinal) else { return Ok(true) };
        let Reader { shard, buffers, key, sample, .. } = reader;
        let shard = &self.shards[*shard];
        let mut filter = EntryFilter { pass: self, shard, ordinal, key, sample, entries: 0, named: 0, error: None };
        let result = self.setup.cache.read_within(board, buffers, most, &mut filter);
        let EntryFilter { entries, named, error, .. } = filter;
        if let Some(error) = error {
            return Err(error);
        }
        match result {
            Ok(Within::Nothing) => Ok(true),
            Ok(Within::TooLarge) => Ok(false),
            Ok(Within::Board { head, written, trailer }) => {
                // No board has more entries than MAX_BOARD_ENTRIES.
                let entries_32 = u32::try_from(entries).unwrap_or(u32::MAX);
                self.grow(shard, |shard| shard.end_board(ordinal, &head.name, entries_32));
                reader.read.push(Read { ordinal, written, entries: entries_32, trailer });
                reader.entries += named;
                reader.nameless += entries - named;
                Ok(true)
            }
            Err(ReadError::Damaged { path, damage, file }) => {
                self.grow(shard, Shard::drop_board);
                reader.damaged.push((ordinal, Damaged { board, path, damage, file }));
                Ok(true)
            }
            Err(ReadError::Store(error)) => Err(error.into()),
        }
    }

    /// Changes a shard and updates the bytes taken. Returns whether all shards together now exceed the limit.
    fn grow(&self, shard: &Mutex<Shard>, change: impl FnOnce(&mut Shard)) -> bool {
        let mut shard = lock(shard);
        if self.setup.plan.is_none() {
            change(&mut shard);
            return false;
        }
        let before = shard.reserved_bytes(self.setup.sort_key);
        change(&mut shard);
        let after = shard.reserved_bytes(self.setup.sort_key);
        // Wraps around to subtract.
        let taken = self.taken.fetch_add(after.wrapping_sub(before), Relaxed).wrapping_add(after.wrapping_sub(before));
        taken > self.limit.load(Relaxed)
    }

    /// Lowers the upper bound of the range until its rows fit. `done` is how many combinations were read so far.
    fn narrow(&self, done: usize) -> Result<(), IndexError> {
        let _alone = self.narrowing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(plan) = self.setup.plan else { return Ok(()) };
        let mut narrowed = false;
        loop {
            let mut shards: Vec<_> = self.shards.iter().map(lock).collect();
            let (taken, limit) = (self.taken.load(Relaxed), self.limit.load(Relaxed));
            if taken <= limit {
                break;
            }
            let Some(upper) = split::upper(
                &shards,
                split::kept_share(taken, limit, done, self.setup.catalog.len()),
                self.setup.sort_key,
            ) else {
                // The rows of one driver, or the list of boards, exceed the limit; their final size is not known yet.
                return Err(plan.too_small_for_columns(taken.saturating_mul(2), self.largest, self.setup.held));
            };
            for shard in &mut shards {
                shard.narrow(&upper, self.setup.sort_key);
            }
            self.taken.store(shards.iter().map(|shard| shard.reserved_bytes(self.setup.sort_key)).sum(), Relaxed);
            narrowed = true;
        }
        if narrowed {
            (self.setup.purge)();
        }
        Ok(())
    }
}

impl Reader {
    /// Frees the read buffers.
    pub(super) fn free(&mut self) {
        self.buffers = Buffers::default();
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A board while it is being read.
struct EntryFilter<'r> {
    pass: &'r Pass<'r>,
    shard: &'r Mutex<Shard>,
    ordinal: Ordinal,
    key: &'r mut String,
    sample: &'r mut Option<Sample>,
    entries: usize,
    named: usize,
    /// What ended it early.
    error: Option<IndexError>,
}

impl EntryFilter<'_> {
    /// Adds an entry if its key is still in the range: another thread may have narrowed it since [`Self::is_wanted`].
    fn add(&mut self, entry: &Entry<'_>) {
        let key = self.key.as_str();
        let over = self.pass.grow(self.shard, |shard| {
            if shard.range.is_all() || shard.range.contains(key) {
                shard.push(entry);
            }
        });
        if over {
            self.error = self.pass.narrow(self.ordinal.0 as usize).err();
        }
    }

    /// Remembers the key of a driver, and returns whether it is in the range.
    fn is_wanted(&mut self, driver: &Driver<'_>) -> bool {
        self.key.clear();
        self.pass.setup.sort_key.push_key_of(driver, self.key);
        if let Some(sample) = self.sample {
            sample.add(self.key);
        }
        lock(self.shard).range.contains(self.key)
    }
}

impl<'b> Entries<'b> for EntryFilter<'_> {
    type Entry = Element<'b>;

    fn restart(&mut self) {
        self.pass.grow(self.shard, Shard::drop_board);
        (self.entries, self.named) = (0, 0);
    }

    fn entry(&mut self, Element(entry): Element<'b>) {
        if self.error.is_some() {
            return;
        }
        self.entries += 1;
        let Some(entry) = entry else { return };
        self.named += 1;
        if self.pass.setup.plan.is_none() || self.is_wanted(&entry.driver) {
            self.add(&entry);
        }
    }
}
