//! Reads the whole cache into columns: in one pass, or, under a memory limit, in one pass for each range of keys.

use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::boards::{BoardState, Built};
use super::columns::Columns;
use super::drivers::Drivers;
use super::error::{IndexError, MAX_ROWS};
use super::headroom::{Headroom, Plan};
use super::key::KeyRange;
use super::pass::{Pass, Read, Reader, Setup};
use super::sample::Distribution;
use super::sort_key::SortKey;
use crate::domain::{Catalog, Ordinal, Ratings};
use crate::runtime::config::IndexFormat;
use crate::store::Cache;

/// The share of the memory for columns that a new range aims to fill.
const FILLED: f64 = 0.9;

/// The estimated bytes of a row before any was read.
const ROW_BYTES: f64 = 128.0;

/// The input and the options of an export.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The cached boards.
    pub cache: &'a Cache,
    /// All boards.
    pub catalog: &'a Catalog,
    /// The number of threads that read, format and compress.
    pub threads: usize,
    /// How much memory the export may use.
    pub headroom: Headroom,
    /// The front ends to publish files for.
    pub formats: &'a [IndexFormat],
    /// New multiplayer ratings; without them, the published ones stay.
    pub ratings: Option<&'a Ratings>,
    /// The current time, which some files contain.
    pub now: SystemTime,
    /// Cancels the export.
    pub stop: &'a CancellationToken,
}

impl Source<'_> {
    /// Whether files of this format are published.
    pub(super) fn has(&self, format: IndexFormat) -> bool {
        self.formats.contains(&format)
    }
}

/// Iterates over the ranges of keys, holding the columns of one range at a time. Together the ranges cover all rows, in key
/// order.
#[derive(Debug)]
pub struct RangeScan<'a> {
    pub(super) source: Source<'a>,
    pub(super) plan: Option<Plan>,
    pub(super) columns: Columns,
    pub(super) sort_key: SortKey<'a>,
    range: KeyRange,
    /// The gzip trailer of each board in the first pass. Later passes must read the same.
    trailers: Vec<Option<[u8; 8]>>,
    large: Vec<Ordinal>,
    largest: usize,
    distribution: Distribution,
    /// The average bytes of a row in the current range.
    row_bytes: f64,
    #[cfg(test)]
    count: std::rc::Rc<std::cell::Cell<usize>>,
}

/// Reads all cached boards of the catalogue, and keeps the columns of the first range of keys: of all keys, if they fit the
/// headroom.
///
/// # Errors
/// If the file system fails, there are too many entries, the headroom is too small, or the export was cancelled.
pub fn build<'a>(source: &Source<'a>) -> Result<(Built, RangeScan<'a>), IndexError> {
    let plan = match source.headroom.bytes {
        Some(bytes) => Some(Plan::new(bytes, source.catalog, source.threads)?),
        None => None,
    };
    build_in(source, plan)
}

/// Like [`build`], with the given memory budget.
pub(super) fn build_in<'a>(source: &Source<'a>, plan: Option<Plan>) -> Result<(Built, RangeScan<'a>), IndexError> {
    let mut ranges = RangeScan {
        source: *source,
        plan,
        columns: Columns::default(),
        sort_key: SortKey::Name,
        range: KeyRange::default(),
        trailers: Vec::new(),
        large: Vec::new(),
        largest: 0,
        distribution: Distribution::default(),
        row_bytes: ROW_BYTES,
        #[cfg(test)]
        count: std::rc::Rc::default(),
    };
    let mut pass = Pass::new(ranges.setup(0), &KeyRange::default(), 0);
    let mut readers = pass.read(true, |_| true)?;
    ranges.large = readers.iter().flat_map(|it| &it.large).copied().collect();
    ranges.large.sort_unstable();
    // Free the read buffers, so that large boards can use that memory.
    readers.iter_mut().for_each(Reader::free);
    readers.push(pass.read_large(&ranges.large, true)?);

    let mut states = vec![BoardState::Missing; source.catalog.len()];
    let mut trailers = vec![None; if plan.is_some() { states.len() } else { 0 }];
    for &Read { ordinal, written, entries, trailer } in readers.iter().flat_map(|it| &it.read) {
        states[ordinal.0 as usize] = BoardState::Cached { written, entries };
        if let Some(place) = trailers.get_mut(ordinal.0 as usize) {
            *place = Some(trailer);
        }
    }
    ranges.trailers = trailers;
    let entries = readers.iter().map(|it| it.entries).sum();
    let nameless = readers.iter().map(|it| it.nameless).sum();
    let mut damaged: Vec<_> = readers.iter_mut().flat_map(|it| std::mem::take(&mut it.damaged)).collect();
    damaged.sort_by_key(|(ordinal, _)| *ordinal);
    let damaged = damaged.into_iter().map(|(_, it)| it).collect();
    ranges.distribution = Distribution::of(readers.into_iter().filter_map(|it| it.sample));
    ranges.take(pass)?;
    Ok((Built { states, damaged, entries, nameless }, ranges))
}

impl<'a> RangeScan<'a> {
    fn setup(&self, held: usize) -> Setup<'a> {
        let Source { cache, catalog, threads, headroom, stop, .. } = self.source;
        let with_drivers = self.source.has(IndexFormat::April2026);
        let (plan, sort_key, purge) = (self.plan, self.sort_key, headroom.purge);
        Setup { cache, catalog, stop, threads, plan, purge, held, sort_key, with_drivers }
    }

    /// The number of ranges so far.
    #[cfg(test)]
    pub(super) fn count(&self) -> std::rc::Rc<std::cell::Cell<usize>> {
        std::rc::Rc::clone(&self.count)
    }

    /// Whether this is the last range.
    pub(super) fn is_last(&self) -> bool {
        self.range.upper.is_none()
    }

    /// Reads the next range. `held` is the number of bytes that the export holds besides the columns.
    pub(super) fn advance(&mut self, held: usize) -> Result<(), IndexError> {
        self.columns = Columns::default();
        self.purge();
        let Some(lower) = self.range.upper.take() else { return Ok(()) };
        let limit = self.plan.map_or(usize::MAX, |plan| plan.columns(self.largest, held));
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let rows = FILLED * limit as f64 / self.row_bytes;
        let upper = self.distribution.upper(&lower, rows).map(ToOwned::to_owned);
        self.range = KeyRange { lower: Some(lower), upper };
        self.read_again(held, false)
    }

    /// Frees the columns if there is a memory limit: they will be read again anyway.
    pub(super) fn free_if_limited(&mut self) {
        if self.plan.is_some() {
            self.columns = Columns::default();
            self.purge();
        }
    }

    /// Starts a second round over all rows, sorted by their drivers' keys. `held` is as in [`RangeScan::advance`].
    pub(super) fn by_driver<'d>(self, drivers: &'d Drivers, held: usize) -> Result<RangeScan<'d>, IndexError>
    where
        'a: 'd,
    {
        let mut ranges: RangeScan<'d> = self;
        ranges.sort_key = SortKey::Driver(drivers);
        if ranges.plan.is_none() {
            ranges.columns = std::mem::take(&mut ranges.columns).reordered(ranges.sort_key);
            return Ok(ranges);
        }
        ranges.range = KeyRange::default();
        ranges.read_again(held, true)?;
        Ok(ranges)
    }

    /// Reads the boards again, and keeps the columns of the current range.
    fn read_again(&mut self, held: usize, sampled: bool) -> Result<(), IndexError> {
        if let Some(plan) = self.plan {
            plan.check_held(self.largest, held)?;
        }
        let mut pass = Pass::new(self.setup(held), &self.range, self.largest);
        let usual = |ordinal: Ordinal| {
            self.trailers[ordinal.0 as usize].is_some() && self.large.binary_search(&ordinal).is_err()
        };
        let mut readers = pass.read(sampled, usual)?;
        readers.iter_mut().for_each(Reader::free);
        let large: Vec<_> = self.large.iter().copied().filter(|it| self.trailers[it.0 as usize].is_some()).collect();
        readers.push(pass.read_large(&large, sampled)?);
        self.compare(&pass, &readers)?;
        if sampled {
            self.distribution = Distribution::of(readers.into_iter().filter_map(|it| it.sample));
        } else {
            drop(readers);
        }
        self.take(pass)
    }

    /// Returns freed memory to the kernel if there is a memory limit.
    fn purge(&self) {
        if self.plan.is_some() {
            (self.source.headroom.purge)();
        }
    }

    /// Fails if the boards differ from those of the first pass.
    fn compare(&self, pass: &Pass<'_>, readers: &[Reader]) -> Result<(), IndexError> {
        let mut missing: Vec<bool> = self.trailers.iter().map(Option::is_some).collect();
        for read in readers.iter().flat_map(|it| &it.read) {
            let number = read.ordinal.0 as usize;
            missing[number] = self.trailers[number] != Some(read.trailer);
        }
        match (0..).zip(missing).find(|(_, missing)| *missing) {
            Some((number, _)) => Err(IndexError::Changed(pass.path(Ordinal(number)))),
            None => Ok(()),
        }
    }

    /// Ends a pass: keeps its columns, and the range that it may have narrowed.
    fn take(&mut self, pass: Pass<'_>) -> Result<(), IndexError> {
        let (shards, largest) = pass.end();
        let rows = shards.iter().map(|shard| shard.rows.len()).sum();
        if rows > MAX_ROWS {
            return Err(IndexError::TooMany(rows));
        }
        if let Some(shard) = shards.first() {
            self.range = shard.range.clone();
        }
        if rows > 0 {
            let bytes: usize = shards.iter().map(|it| it.reserved_bytes(self.sort_key)).sum();
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let row_bytes = bytes as f64 / rows as f64;
            self.row_bytes = row_bytes;
        }
        self.largest = largest;
        // Return the read buffers before sorting, and the memory used for sorting before the export.
        self.purge();
        self.columns = Columns::new(shards, self.sort_key);
        self.purge();
        #[cfg(test)]
        self.count.set(self.count.get() + 1);
        Ok(())
    }
}
