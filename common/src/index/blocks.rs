//! The driver index out of memory: blocks are formatted and compressed on all threads, and written in order.

use tokio_util::sync::CancellationToken;

use super::build::IndexError;
use super::gzip::Block;
use super::order::{Order, Placed};
use super::output::{BLOCK_BYTES, BLOCK_ROWS, Output};
use super::parallel;
use super::rows::write_text;
use super::shard::Shard;
use crate::domain::Catalog;

/// Writes all rows, a few blocks at a time.
pub(super) fn write(
    (shards, order): (&[Shard], &Order),
    catalog: &Catalog,
    threads: usize,
    stop: &CancellationToken,
    output: &mut Output<'_>,
) -> Result<(), IndexError> {
    let blocks = order.rows().div_ceil(BLOCK_ROWS).max(1);
    let batch = threads * 2;
    let keep_text = output.takes_text();
    for first in (0..blocks).step_by(batch) {
        let made = parallel::fold(threads, batch.min(blocks - first), 1, Vec::new, |made, number| {
            if stop.is_cancelled() {
                return Err(IndexError::Stopped);
            }
            let number = first + number;
            let mut text = Vec::with_capacity(BLOCK_BYTES);
            write_rows((shards, order), catalog, number * BLOCK_ROWS, number + 1 == blocks, &mut text);
            let block = Block::new(&text)?;
            let length = text.len();
            made.push((number, length, block, if keep_text { text } else { Vec::new() }));
            Ok(())
        })?;
        let mut made: Vec<_> = made.into_iter().flatten().collect();
        made.sort_unstable_by_key(|(number, ..)| *number);
        for (_, length, block, text) in made {
            output.block(&block, length, &text)?;
        }
    }
    Ok(())
}

/// Appends the rows of one block, with whatever stands before and between them; the last block also ends the file.
pub(super) fn write_rows(
    (shards, order): (&[Shard], &Order),
    catalog: &Catalog,
    first: usize,
    last_block: bool,
    out: &mut Vec<u8>,
) {
    let rows = first..order.rows().min(first + BLOCK_ROWS);
    if first == 0 {
        out.push(b'{');
    }
    let mut key = order.key_at(first);
    for place in rows {
        let key_rows = order.key_rows(key);
        if place == key_rows.start {
            if place > 0 {
                out.push(b',');
            }
            write_text(order.key_text(key), out);
            out.extend_from_slice(b":[");
        } else {
            out.push(b',');
        }
        let Placed { shard, row } = order.row(shards, place);
        // Boards are read by walking the catalogue, so each has its place in it.
        if let Some(place) = catalog.at(shard.boards[row.board as usize].ordinal) {
            shard.fields(row).write(place, out);
        }
        if place + 1 == key_rows.end {
            out.push(b']');
            key += 1;
        }
    }
    if last_block {
        out.push(b'}');
    }
}
