//! `driver_index.json.gz`: blocks of rows are formatted and compressed on all threads, and written in order.
//!
//! Where blocks begin shows in the compressed bytes, so a block that a range of keys does not fill is carried over to the
//! next one, as text.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::columns::Columns;
use super::error::IndexError;
use super::gzip::Block;
use super::headroom::{BLOCK_BYTES, block_cost};
use super::key::key_of;
use super::output::Output;
use super::parallel;
use super::rows::{self, write_text};
use super::writer::{Exported, Range, Writer};
use crate::domain::Catalog;
use crate::runtime::fs::{self, FsError, NewFile};
use crate::store::DRIVER_INDEX;

/// Rows in a block, about 1.3 MB of JSON: large enough that starting a compressor anew costs nothing, and a few of
/// them in flight cost little memory.
pub(super) const BLOCK_ROWS: usize = 4096;

/// Writes the driver index.
#[derive(Debug)]
pub(super) struct DriverIndex {
    output: Output,
    drivers: usize,
    /// The rows that do not fill a block yet, as text.
    carried: Vec<u8>,
    carried_rows: usize,
}

impl DriverIndex {
    pub(super) fn create(folder: &Path, plain: bool) -> Result<Self, FsError> {
        let gzip = NewFile::publish(&folder.join(format!("{DRIVER_INDEX}.gz")))?;
        if !plain {
            // One that was written once would be served for ever.
            fs::remove(&folder.join(DRIVER_INDEX))?;
        }
        let text = if plain { Some(NewFile::publish(&folder.join(DRIVER_INDEX))?) } else { None };
        Ok(Self { output: Output::new(gzip, text, folder)?, drivers: 0, carried: Vec::new(), carried_rows: 0 })
    }

    /// The rows of a block of this range; the first block has those carried over before them.
    fn rows_of(&self, block: usize, rows: usize) -> std::ops::Range<usize> {
        let start = (block * BLOCK_ROWS).saturating_sub(self.carried_rows);
        start..rows.min((block + 1) * BLOCK_ROWS - self.carried_rows)
    }

    /// Writes blocks `first` and following, as many at a time as there are threads and memory; returns how many.
    fn write_blocks(&mut self, range: &Range<'_>, first: usize, blocks: usize) -> Result<usize, IndexError> {
        let rows = range.columns.order.rows();
        let ends = |block: usize| range.is_last && block + 1 == blocks;
        let mut sizes = Vec::new();
        match range.plan {
            None => sizes = vec![BLOCK_BYTES; (range.threads * 2).min(blocks - first)],
            Some(plan) => {
                let mut left = plan.blocks(range.columns.bytes() + self.carried.len());
                for block in first..blocks.min(first + range.threads.max(1)) {
                    let carried = if block == 0 { self.carried.len() } else { 0 };
                    let size = carried + text_bytes(range, self.rows_of(block, rows));
                    let cost = block_cost(size);
                    if cost > left {
                        if sizes.is_empty() {
                            return Err(plan.too_small_for_block(cost + carried));
                        }
                        break;
                    }
                    left -= cost;
                    sizes.push(size);
                }
            }
        }
        let carried = Mutex::new(if first == 0 { std::mem::take(&mut self.carried) } else { Vec::new() });
        let (keep_text, this) = (self.output.takes_text(), &*self);
        let made = parallel::fold(range.threads, sizes.len(), 1, Vec::new, |made, number| {
            if range.stop.is_cancelled() {
                return Err(IndexError::Stopped);
            }
            let mut text = Vec::with_capacity(sizes[number]);
            if number == 0 {
                text.append(&mut carried.lock().unwrap_or_else(PoisonError::into_inner));
            }
            let block = first + number;
            write_rows(range.columns, range.catalog, this.drivers, this.rows_of(block, rows), &mut text);
            if ends(block) {
                text.push(b'}');
            }
            let compressed = Block::new(&text)?;
            let length = text.len();
            made.push((number, length, compressed, if keep_text { text } else { Vec::new() }));
            Ok(())
        })?;
        let mut made: Vec<_> = made.into_iter().flatten().collect();
        made.sort_unstable_by_key(|(number, ..)| *number);
        for (_, length, block, text) in &made {
            self.output.block(block, *length, text)?;
        }
        Ok(made.len())
    }
}

impl Writer for DriverIndex {
    fn range(&mut self, range: &Range<'_>) -> Result<(), IndexError> {
        if range.is_first {
            self.carried.push(b'{');
        }
        let rows = range.columns.order.rows();
        let total = self.carried_rows + rows;
        // A full block waits for the row after it: it may be the one that ends the file.
        let blocks =
            if range.is_last { total.div_ceil(BLOCK_ROWS).max(1) } else { total.saturating_sub(1) / BLOCK_ROWS };
        let mut first = 0;
        while first < blocks {
            first += self.write_blocks(range, first, blocks)?;
        }
        if !range.is_last {
            let left = self.rows_of(blocks, rows);
            if let Some(plan) = range.plan {
                let size = self.carried.len() + text_bytes(range, left.clone());
                let room = plan.blocks(range.columns.bytes() + self.carried.len());
                if size > room {
                    return Err(plan.too_small_for_block(block_cost(size)));
                }
                self.carried.reserve_exact(size - self.carried.len());
            }
            write_rows(range.columns, range.catalog, self.drivers, left, &mut self.carried);
            self.carried_rows = total - blocks * BLOCK_ROWS;
        }
        self.drivers += range.columns.order.keys();
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.carried.capacity()
    }

    fn finish(&mut self, exported: &mut Exported, _: &Catalog) -> Result<(), IndexError> {
        self.output.end(exported)?;
        exported.drivers = self.drivers;
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<bool, FsError> {
        self.output.commit()
    }
}

/// No fewer bytes than the text of these rows takes.
fn text_bytes(range: &Range<'_>, rows: std::ops::Range<usize>) -> usize {
    let of_row = |place| range.columns.row(place, range.catalog).map_or(0, |(_, fields)| fields.max_bytes());
    let mut bytes = 2 + rows.clone().map(of_row).sum::<usize>();
    let mut key = range.columns.order.key_at(rows.start);
    while key < range.columns.order.keys() && range.columns.order.key_rows(key).start < rows.end {
        // Lower case takes at most three times the bytes.
        bytes += 3 * rows::text_bytes(range.columns.key_name(key)) + 4;
        key += 1;
    }
    bytes
}

/// Appends rows, with what stands before and between them; before this range, so many drivers were written.
pub(super) fn write_rows(
    columns: &Columns,
    catalog: &Catalog,
    drivers: usize,
    rows: std::ops::Range<usize>,
    out: &mut Vec<u8>,
) {
    let order = &columns.order;
    let mut key = order.key_at(rows.start);
    for place in rows {
        let key_rows = order.key_rows(key);
        if place == key_rows.start {
            if drivers + key > 0 {
                out.push(b',');
            }
            write_text(&key_of(columns.key_name(key)), out);
            out.extend_from_slice(b":[");
        } else {
            out.push(b',');
        }
        if let Some((place, fields)) = columns.row(place, catalog) {
            fields.write(place, out);
        }
        if place + 1 == key_rows.end {
            out.push(b']');
            key += 1;
        }
    }
}
