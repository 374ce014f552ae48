//! Records collected in a fixed piece of memory, which are sorted and written as a run when it is full.
//!
//! Records need nothing but themselves, so the memory is two vectors that never grow: nothing has to be foreseen, and
//! nothing is freed and taken again. Rows with strings stored once would take two thirds of the room for the rows, but
//! tables that grow by leaps for the strings.

use std::cmp::Ordering;
use std::sync::Arc;

use super::budget::Plan;
use super::build::IndexError;
use super::order::push_key;
use super::record::{NAME, Reading, Record, TEXTS, compare_keys, key_prefix};
use super::runs::{Place, Run, RunWriter};
use crate::runtime::fs::FsError;
use crate::runtime::fs::Scratch;

/// No record may take more than this part of the memory.
const LARGEST_PART: usize = 64;

/// Where a record stands, with what decides most comparisons.
#[derive(Debug, Clone, Copy)]
struct Slot {
    prefix: u64,
    start: u32,
    ordinal: u32,
}

/// What one thread collects, and the runs that it has written.
#[derive(Debug)]
pub(super) struct Collector<'p> {
    place: &'p Place,
    plan: Plan,
    bytes: Vec<u8>,
    records: Vec<Slot>,
    /// For the key of the record that is coming in.
    key: String,
    buffer: Vec<u8>,
    file: Option<Arc<Scratch>>,
    runs: Vec<Run>,
}

/// The bytes for records, and for what tells their places, of `most` bytes in all.
fn rooms(most: usize, buffer_bytes: usize) -> (usize, usize) {
    // Writing a run needs the largest record a few times over.
    let room = most.saturating_sub(buffer_bytes) / 16 * 15;
    // A record of the usual size takes seven times what tells its place. Offsets have 32 bits.
    ((room / 8 * 7).min(u32::MAX as usize), room / 8)
}

impl<'p> Collector<'p> {
    /// Holds at most `most` bytes of memory, the buffer for writing included: a share of that plan.
    pub(super) fn new(place: &'p Place, most: usize, plan: Plan) -> Self {
        let buffer_bytes = plan.buffer;
        let (bytes, slots) = rooms(most, buffer_bytes);
        let records = slots / size_of::<Slot>();
        Self {
            place,
            plan,
            bytes: Vec::with_capacity(bytes),
            records: Vec::with_capacity(records),
            key: String::new(),
            buffer: Vec::with_capacity(buffer_bytes),
            file: None,
            runs: Vec::new(),
        }
    }

    /// Takes a record; where there is no room for it, those here become a run first.
    pub(super) fn push(&mut self, record: &Record<'_>) -> Result<(), IndexError> {
        let most = record.most_bytes();
        if most > self.bytes.capacity() / LARGEST_PART {
            let fits = |records: usize, plan: &Plan| most <= rooms(records, plan.buffer).0 / LARGEST_PART;
            return Err(self.plan.too_small(|it| fits(it.usual.records, it) && fits(it.large.records, it)));
        }
        if self.bytes.len() + most > self.bytes.capacity() || self.records.len() == self.records.capacity() {
            self.spill()?;
        }
        self.key.clear();
        push_key(record.texts[NAME], &mut self.key);
        self.records.push(Slot {
            prefix: key_prefix(self.key.as_bytes()),
            // The capacity is no more than 32 bits can tell.
            start: u32::try_from(self.bytes.len()).unwrap_or(u32::MAX),
            ordinal: record.numbers.ordinal,
        });
        record.write(&[""; TEXTS], &mut self.bytes);
        Ok(())
    }

    /// Sorts what is here, and writes it as a run.
    fn spill(&mut self) -> Result<(), FsError> {
        if self.records.is_empty() {
            return Ok(());
        }
        let bytes = &self.bytes;
        self.records.sort_unstable_by(|a, b| compare(bytes, a, b));
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(self.place.file()?),
        };
        let start = self.runs.last().map_or(0, |run| run.end);
        let mut writer = RunWriter::new(Arc::clone(file), start, std::mem::take(&mut self.buffer));
        for place in &self.records {
            let reading = Reading::new(&bytes[place.start as usize..]).ok_or_else(|| file.garbled())?;
            let (numbers, mut texts) = (reading.numbers, [""; TEXTS]);
            reading.texts(|number, text| texts[number] = text).ok_or_else(|| file.garbled())?;
            writer.push(&Record { numbers, texts })?;
        }
        let run;
        (run, self.buffer) = writer.end()?;
        self.runs.push(run);
        self.bytes.clear();
        self.records.clear();
        Ok(())
    }

    /// Writes what is left, and returns all runs.
    pub(super) fn end(mut self) -> Result<Vec<Run>, FsError> {
        self.spill()?;
        Ok(self.runs)
    }
}

fn compare(bytes: &[u8], a: &Slot, b: &Slot) -> Ordering {
    let read = |place: &Slot| Reading::new(&bytes[place.start as usize..]);
    let by_name = || {
        let name = |place| read(place).and_then(Reading::name).unwrap_or_default();
        compare_keys(name(a), name(b))
    };
    let by_position = || {
        let rank = |place| read(place).map(|reading| (reading.numbers.position, reading.numbers.number));
        rank(a).cmp(&rank(b))
    };
    a.prefix.cmp(&b.prefix).then_with(by_name).then_with(|| a.ordinal.cmp(&b.ordinal)).then_with(by_position)
}
