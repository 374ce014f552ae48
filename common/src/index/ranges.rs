//! Reading the whole cache into columns: at once, or in passes over ranges of keys where memory is limited.

use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::boards::{BoardState, Built};
use super::columns::Columns;
use super::drivers::Drivers;
use super::error::{IndexError, MAX_ROWS};
use super::headroom::{Headroom, Plan};
use super::key::KeyRange;
use super::keying::Keying;
use super::pass::{Pass, Read, Reader, Setup};
use super::sample::Distribution;
use super::shard::Shard;
use crate::domain::{Catalog, Ordinal};
use crate::runtime::config::IndexFormat;
use crate::store::Cache;

/// How full the columns of a range should be.
const FILLED: f64 = 0.9;

/// What a row takes, where none was seen.
const ROW_BYTES: f64 = 128.0;

/// What an index is made of and with.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Where the boards are.
    pub cache: &'a Cache,
    /// Which boards there are.
    pub catalog: &'a Catalog,
    /// Threads that read, format and compress.
    pub threads: usize,
    /// How much memory it may take.
    pub headroom: Headroom,
    /// For which front ends files are published.
    pub formats: &'a [IndexFormat],
    /// The time of day, which some files name.
    pub now: SystemTime,
    /// Ends it early.
    pub stop: &'a CancellationToken,
}

impl Source<'_> {
    /// Whether files of that format are published.
    pub(super) fn has(&self, format: IndexFormat) -> bool {
        self.formats.contains(&format)
    }
}

/// The columns of one range of keys after another. Together they are all rows, in the order of their keys.
#[derive(Debug)]
pub struct Ranges<'a> {
    pub(super) source: Source<'a>,
    pub(super) plan: Option<Plan>,
    pub(super) columns: Columns,
    pub(super) keying: Keying<'a>,
    range: KeyRange,
    /// What was found in the first pass: later ones have to find the same.
    trailers: Vec<Option<[u8; 8]>>,
    large: Vec<Ordinal>,
    largest: usize,
    distribution: Distribution,
    /// What a row of the range takes.
    row_bytes: f64,
    #[cfg(test)]
    count: std::rc::Rc<std::cell::Cell<usize>>,
}

/// Reads every board of the catalogue that the cache holds, and keeps the columns of the first range of keys: of all, where
/// they fit into the headroom.
///
/// # Errors
/// When the file system refuses, there are too many entries, the headroom is too small, or it was stopped.
pub fn build<'a>(source: &Source<'a>) -> Result<(Built, Ranges<'a>), IndexError> {
    let plan = match source.headroom.bytes {
        Some(bytes) => Some(Plan::new(bytes, source.catalog, source.threads)?),
        None => None,
    };
    build_in(source, plan)
}

/// The same, with memory shared out as the plan says.
pub(super) fn build_in<'a>(source: &Source<'a>, plan: Option<Plan>) -> Result<(Built, Ranges<'a>), IndexError> {
    let mut ranges = Ranges {
        source: *source,
        plan,
        columns: Columns::default(),
        keying: Keying::Name,
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
    // The buffers for boards are free for the large ones.
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

impl<'a> Ranges<'a> {
    fn setup(&self, held: usize) -> Setup<'a> {
        let Source { cache, catalog, threads, headroom, stop, .. } = self.source;
        let with_drivers = self.source.has(IndexFormat::April2026);
        let (plan, keying, give_back) = (self.plan, self.keying, headroom.give_back);
        Setup { cache, catalog, stop, threads, plan, give_back, held, keying, with_drivers }
    }

    /// How many ranges there were by now.
    #[cfg(test)]
    pub(super) fn count(&self) -> std::rc::Rc<std::cell::Cell<usize>> {
        std::rc::Rc::clone(&self.count)
    }

    /// Whether no further range follows.
    pub(super) fn is_last(&self) -> bool {
        self.range.upper.is_none()
    }

    /// Reads the next range, while the export holds so many bytes.
    pub(super) fn advance(&mut self, held: usize) -> Result<(), IndexError> {
        self.columns = Columns::default();
        self.give_back();
        let Some(lower) = self.range.upper.take() else { return Ok(()) };
        let limit = self.plan.map_or(usize::MAX, |plan| plan.columns(self.largest, held));
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let rows = FILLED * limit as f64 / self.row_bytes;
        let upper = self.distribution.upper(&lower, rows).map(ToOwned::to_owned);
        self.range = KeyRange { lower: Some(lower), upper };
        self.read_again(held, false)
    }

    /// Frees the columns if they have to be read again anyway.
    pub(super) fn free_if_limited(&mut self) {
        if self.plan.is_some() {
            self.columns = Columns::default();
            self.give_back();
        }
    }

    /// Goes through all rows once more, in the order of their drivers' keys, while the export holds so many bytes.
    pub(super) fn by_driver<'d>(self, drivers: &'d Drivers, held: usize) -> Result<Ranges<'d>, IndexError>
    where
        'a: 'd,
    {
        let mut ranges: Ranges<'d> = self;
        ranges.keying = Keying::Driver(drivers);
        if ranges.plan.is_none() {
            ranges.columns = std::mem::take(&mut ranges.columns).reordered(ranges.keying);
            return Ok(ranges);
        }
        ranges.range = KeyRange::default();
        ranges.read_again(held, true)?;
        Ok(ranges)
    }

    /// Reads the boards of the first pass again, and keeps the columns of the range.
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

    /// Gives freed memory back to the kernel, where it is limited.
    fn give_back(&self) {
        if self.plan.is_some() {
            (self.source.headroom.give_back)();
        }
    }

    /// An error where other boards were read than in the first pass.
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

    /// Takes over what a pass has read: the range that it was left with.
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
            let bytes: usize = shards.iter().map(Shard::reserved_bytes).sum();
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let row_bytes = bytes as f64 / rows as f64;
            self.row_bytes = row_bytes;
        }
        self.largest = largest;
        // What boards were read into is free for the order of the rows, and what that took on the way for the export.
        self.give_back();
        self.columns = Columns::new(shards, self.keying);
        self.give_back();
        #[cfg(test)]
        self.count.set(self.count.get() + 1);
        Ok(())
    }
}
