//! An index made within a budget: reading the cache into sorted runs on disk.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::budget::{Budget, Plan, Shares};
use super::build::{BoardState, Built, Content, Damaged, IndexError, RUN};
use super::collect::Collector;
use super::intern::{Interner, Text};
use super::parallel;
use super::record::{Numbers, Record};
use super::runs::{Place, Run};
use crate::domain::{Catalog, Combination, Entry, Ordinal};
use crate::store::{Buffers, Cache, Entries, ReadError, Within};

/// What was read, in runs on disk.
#[derive(Debug)]
pub(super) struct Sorted {
    pub(super) plan: Plan,
    pub(super) place: Place,
    pub(super) runs: Vec<Run>,
    pub(super) boards: Boards,
    pub(super) give_back: fn(),
}

/// The boards that were read to their end. Records of others are void: they were written before it showed that the board
/// is damaged.
#[derive(Debug)]
pub(super) struct Boards {
    names: Interner,
    boards: Vec<Option<Board>>,
}

/// A board that was read to its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Board {
    name: Text,
    /// Its entries, those without a driver name included.
    pub(super) entries: u32,
    /// The first of its records that counts.
    first: u32,
}

impl Boards {
    fn new(catalog: &Catalog) -> Self {
        Self { names: Interner::new(), boards: vec![None; catalog.len()] }
    }

    /// The board that a record belongs to; `None` where the record is void.
    pub(super) fn of(&self, record: &Numbers) -> Option<&Board> {
        let board = self.boards.get(record.ordinal as usize)?.as_ref();
        board.filter(|board| record.number >= board.first)
    }

    /// The name of a board's track layout.
    pub(super) fn name(&self, board: &Board) -> &str {
        self.names.get(board.name)
    }

    /// All boards in catalogue order, each with its track layout's name and its entries.
    pub(super) fn all(&self) -> impl Iterator<Item = (Ordinal, &str, u32)> {
        let numbered = (0..).zip(&self.boards);
        numbered.filter_map(|(ordinal, board)| {
            board.as_ref().map(|board| (Ordinal(ordinal), self.name(board), board.entries))
        })
    }
}

/// What all threads find together, beside records.
#[derive(Debug)]
struct Found {
    boards: Boards,
    states: Vec<BoardState>,
    damaged: Vec<(Ordinal, Damaged)>,
    /// Boards too large to be read beside others.
    large: Vec<Ordinal>,
    entries: usize,
    nameless: usize,
}

/// Reads every board of the catalogue that the cache holds, in as much memory as the plan gives.
pub(super) fn build(
    cache: &Cache,
    catalog: &Catalog,
    plan: Plan,
    budget: &Budget<'_>,
    stop: &CancellationToken,
) -> Result<Built, IndexError> {
    let place = Place::new(budget.spill);
    let found = Mutex::new(Found {
        boards: Boards::new(catalog),
        states: vec![BoardState::Missing; catalog.len()],
        damaged: Vec::new(),
        large: Vec::new(),
        entries: 0,
        nameless: 0,
    });
    let new = |shares: Shares| Reader {
        collector: Collector::new(&place, shares.records, plan),
        buffers: Buffers::default(),
        most: shares.board,
        plan,
        cache,
        catalog,
        found: &found,
    };
    let readers = parallel::fold(
        plan.readers,
        catalog.len(),
        RUN,
        || new(plan.usual),
        |reader, number| {
            if stop.is_cancelled() {
                return Err(IndexError::Stopped);
            }
            // A catalogue has at most a million combinations.
            let ordinal = Ordinal(u32::try_from(number).unwrap_or(u32::MAX));
            if !reader.read(ordinal)? {
                lock(&found).large.push(ordinal);
            }
            Ok(())
        },
    )?;
    let runs = parallel::map(readers, |reader| reader.collector.end())?;
    let mut runs: Vec<Run> = runs.into_iter().flatten().collect();
    (budget.give_back)();
    let mut large = std::mem::take(&mut lock(&found).large);
    large.sort_unstable();
    if !large.is_empty() {
        let mut reader = new(plan.large);
        let mut too_large = 0;
        for ordinal in large {
            if stop.is_cancelled() {
                return Err(IndexError::Stopped);
            }
            too_large = reader.read_large(ordinal)?.max(too_large);
        }
        if too_large > 0 {
            return Err(plan.too_small(|plan| plan.large.board >= too_large));
        }
        runs.append(&mut reader.collector.end()?);
        (budget.give_back)();
    }

    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let Found { boards, states, mut damaged, entries, nameless, .. } = found;
    damaged.sort_by_key(|(ordinal, _)| *ordinal);
    let damaged = damaged.into_iter().map(|(_, it)| it).collect();
    let sorted = Sorted { plan, place, runs, boards, give_back: budget.give_back };
    Ok(Built { content: Content::Sorted(sorted), states, damaged, entries, nameless })
}

fn lock(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One thread that reads.
struct Reader<'r> {
    collector: Collector<'r>,
    buffers: Buffers,
    most: usize,
    plan: Plan,
    cache: &'r Cache,
    catalog: &'r Catalog,
    found: &'r Mutex<Found>,
}

impl Reader<'_> {
    /// Reads a board; says `false` where it is too large.
    fn read(&mut self, ordinal: Ordinal) -> Result<bool, IndexError> {
        let Some(board) = self.combination(ordinal) else { return Ok(true) };
        let mut reading = Reading::new(&mut self.collector, ordinal);
        let result = self.cache.read_within(board, &mut self.buffers, self.most, &mut reading);
        let Reading { first, entries, nameless, error, .. } = reading;
        if let Some(error) = error {
            return Err(error);
        }
        match result {
            Ok(Within::Nothing) => Ok(true),
            Ok(Within::TooLarge) => Ok(false),
            Ok(Within::Board(head, written)) => {
                // No board has more entries than MAX_BOARD_ENTRIES.
                let entries_32 = u32::try_from(entries).unwrap_or(u32::MAX);
                let mut found = lock(self.found);
                // Few names, each for many boards: where they would fill their share, some board has been tampered with.
                let needed = found.boards.names.bytes() + 2 * head.name.len();
                if needed > self.plan.names {
                    return Err(self.plan.too_small(|plan| plan.names >= needed));
                }
                let name = found.boards.names.intern(&head.name);
                let number = ordinal.0 as usize;
                found.boards.boards[number] = Some(Board { name, entries: entries_32, first });
                found.states[number] = BoardState::Cached { written, entries: entries_32 };
                found.entries += entries - nameless;
                found.nameless += nameless;
                Ok(true)
            }
            Err(ReadError::Damaged { path, damage, file }) => {
                lock(self.found).damaged.push((ordinal, Damaged { board, path, damage, file }));
                Ok(true)
            }
            Err(ReadError::Store(error)) => Err(error.into()),
        }
    }

    /// Reads a board that was too large to be read beside others. Returns how many bytes it would take where it is too large
    /// for that too, else 0.
    fn read_large(&mut self, ordinal: Ordinal) -> Result<usize, IndexError> {
        let Some(board) = self.combination(ordinal) else { return Ok(0) };
        if self.read(ordinal)? {
            return Ok(0);
        }
        match self.cache.measure(board) {
            Ok(bytes) => Ok(bytes),
            Err(ReadError::Damaged { path, damage, file }) => {
                lock(self.found).damaged.push((ordinal, Damaged { board, path, damage, file }));
                Ok(0)
            }
            Err(ReadError::Store(error)) => Err(error.into()),
        }
    }

    fn combination(&self, ordinal: Ordinal) -> Option<Combination> {
        self.catalog.at(ordinal).map(|(track, class)| Combination { track: track.id, class: class.id })
    }
}

/// A board while it is being read into a collector.
struct Reading<'s, 'p> {
    collector: &'s mut Collector<'p>,
    ordinal: Ordinal,
    /// How many records it has, void ones included.
    records: u32,
    /// The first of them that is not void.
    first: u32,
    entries: usize,
    nameless: usize,
    /// What ended it early.
    error: Option<IndexError>,
}

impl<'s, 'p> Reading<'s, 'p> {
    fn new(collector: &'s mut Collector<'p>, ordinal: Ordinal) -> Self {
        Self { collector, ordinal, records: 0, first: 0, entries: 0, nameless: 0, error: None }
    }
}

impl<'a> Entries<'a> for Reading<'_, '_> {
    fn restart(&mut self) {
        (self.first, self.entries, self.nameless) = (self.records, 0, 0);
    }

    fn entry(&mut self, raw: &'a RawValue) {
        if self.error.is_some() {
            return;
        }
        self.entries += 1;
        match Entry::read(raw) {
            Some(entry) => {
                let record = Record::of(&entry, self.ordinal.0, self.records);
                self.records += 1;
                self.error = self.collector.push(&record).err();
            }
            None => self.nameless += 1,
        }
    }
}
