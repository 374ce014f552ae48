//! The driver index out of runs: one thread merges and formats, others compress, and what is under way is bounded.

use tokio_util::sync::CancellationToken;

use super::build::IndexError;
use super::gzip::{Block, NotCompressed};
use super::merge;
use super::output::{BLOCK_BYTES, BLOCK_ROWS, Output};
use super::parallel::Workers;
use super::record::{CAR, CAR_CLASS, COUNTRY, DATE_TIME, DIFFICULTY, LAPTIME, NAME, RANK, Record, TEAM};
use super::rows::{Fields, Stored, write_text};
use super::sorted::Sorted;
use crate::domain::{Catalog, Ordinal};

/// What a compressor holds, beside its output.
const COMPRESSOR_BYTES: usize = 384 << 10;

/// Room for what JSON puts around the texts of a row.
const AROUND_ROW: usize = 512;

/// JSON writes a character below U+0020 in six bytes.
const ESCAPED: usize = 6;

/// Writes all rows; returns how many keys they have.
pub(super) fn write(
    sorted: &Sorted,
    catalog: &Catalog,
    threads: usize,
    stop: &CancellationToken,
    output: &mut Output<'_>,
) -> Result<usize, IndexError> {
    let compress = |text: Vec<u8>| Block::new(&text).map(|block| (block, text));
    Workers::with(threads, compress, |workers| {
        let most = threads * 2;
        let mut stream = Stream { sorted, workers, output, most, text: Vec::new(), spare: None, held: 0 };
        let drivers = stream.rows(catalog, stop)?;
        while stream.workers.under_way() > 0 {
            stream.take()?;
        }
        Ok(drivers)
    })
}

/// A block, and its text.
type Compressed = Result<(Block, Vec<u8>), NotCompressed>;

struct Stream<'a, 'w, 'f> {
    sorted: &'a Sorted,
    workers: &'a mut Workers<'w, Vec<u8>, Compressed>,
    output: &'a mut Output<'f>,
    /// How many blocks there may be at a time, however small.
    most: usize,
    /// The block that is being filled.
    text: Vec<u8>,
    spare: Option<Vec<u8>>,
    /// What the blocks under way may take.
    held: usize,
}

/// What a block takes until it is written: its text, the compressor, and the compressor's output while it grows.
const fn cost(capacity: usize) -> usize {
    capacity + capacity / 2 + COMPRESSOR_BYTES
}

/// A record as a row.
fn fields<'a>(Record { numbers, texts }: &Record<'a>, track: &'a str, total_entries: u32) -> Fields<'a> {
    let stored = |packed: Option<u64>, text: usize| packed.map_or(Stored::Text(texts[text]), Stored::Packed);
    Fields {
        name: texts[NAME],
        position: numbers.position,
        laptime: stored(numbers.laptime, LAPTIME),
        time_diff: numbers.time_diff,
        country: texts[COUNTRY],
        car: texts[CAR],
        car_class: texts[CAR_CLASS],
        team: texts[TEAM],
        rank: texts[RANK],
        difficulty: texts[DIFFICULTY],
        track,
        date_time: stored(numbers.date_time, DATE_TIME),
        total_entries,
    }
}

impl Stream<'_, '_, '_> {
    fn rows(&mut self, catalog: &Catalog, stop: &CancellationToken) -> Result<usize, IndexError> {
        let sorted = self.sorted;
        let mut merge = merge::merge(sorted, stop)?;
        (sorted.give_back)();
        let (mut drivers, mut rows, mut starts, mut key) = (0, 0, true, String::new());
        self.begin(stop)?;
        self.text.push(b'{');
        while let Some(cursor) = merge.peek() {
            if rows == BLOCK_ROWS {
                self.end();
                self.begin(stop)?;
                rows = 0;
            }
            let record = cursor.record();
            let (board, place) = (sorted.boards.of(cursor.numbers()), catalog.at(Ordinal(cursor.numbers().ordinal)));
            // The merge hands on what belongs to a board, and boards have their place in the catalogue.
            let Some((board, place)) = board.zip(place) else { return Err(cursor.garbled().into()) };
            let track = sorted.boards.name(board);
            let texts: usize = record.texts.iter().map(|text| text.len()).sum();
            self.make_room(ESCAPED * (texts + cursor.key().len() + track.len()) + AROUND_ROW)?;
            if starts {
                if drivers > 0 {
                    self.text.push(b',');
                }
                cursor.key().clone_into(&mut key);
                write_text(&key, &mut self.text);
                self.text.extend_from_slice(b":[");
                drivers += 1;
            } else {
                self.text.push(b',');
            }
            fields(&record, track, board.entries).write(place, &mut self.text);
            rows += 1;
            merge.advance()?;
            starts = merge.peek().is_none_or(|next| next.key() != key);
            if starts {
                self.text.push(b']');
            }
        }
        self.text.push(b'}');
        self.end();
        Ok(drivers)
    }

    /// Begins a block when there is a place for it.
    fn begin(&mut self, stop: &CancellationToken) -> Result<(), IndexError> {
        if stop.is_cancelled() {
            return Err(IndexError::Stopped);
        }
        let full = |it: &Self| it.workers.under_way() + 1 > it.most || it.held + cost(BLOCK_BYTES) > it.allowed();
        while self.workers.under_way() > 0 && full(self) {
            let text = self.take()?;
            // One that has grown is rather given back.
            self.spare = Some(text).filter(|text| text.capacity() == BLOCK_BYTES);
        }
        self.text = self.spare.take().unwrap_or_else(|| Vec::with_capacity(BLOCK_BYTES));
        self.text.clear();
        Ok(())
    }

    /// Hands the block over to be compressed.
    fn end(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.held += cost(text.capacity());
        self.workers.put(text);
    }

    /// Makes sure that so many bytes more can be written into the block. Few blocks need more than they begin with.
    fn make_room(&mut self, bytes: usize) -> Result<(), IndexError> {
        let (length, capacity) = (self.text.len(), self.text.capacity());
        if length + bytes <= capacity {
            return Ok(());
        }
        let grown = (length + bytes).max(capacity + capacity / 2);
        // While it is copied, the block is there twice.
        let needed = capacity + cost(grown);
        while self.workers.under_way() > 0 && self.held + needed > self.allowed() {
            self.take()?;
        }
        if needed > self.allowed() {
            return Err(self.sorted.plan.too_small(|plan| plan.blocks >= needed));
        }
        self.text.reserve_exact(grown - length);
        Ok(())
    }

    fn allowed(&self) -> usize {
        self.sorted.plan.blocks
    }

    /// Waits for the first block under way and writes it; returns where its text was.
    fn take(&mut self) -> Result<Vec<u8>, IndexError> {
        // A thread that has panicked ends its caller too, as soon as this returns.
        let (block, text) = self.workers.take().ok_or(IndexError::Stopped)??;
        self.held -= cost(text.capacity());
        self.output.block(&block, text.len(), &text)?;
        Ok(text)
    }
}
