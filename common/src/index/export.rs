//! The files that front ends read: `driver_index.json.gz` and `top_combinations.json`.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::build::{Built, IndexError};
use super::gzip::{Block, HEADER, Trailer};
use super::order::Placed;
use super::packed;
use super::parallel;
use super::shard::Stored;
use crate::domain::Catalog;
use crate::store::{NewFile, StoreError, fs};

/// The index's name without compression; with it, `.gz` is appended.
pub const DRIVER_INDEX: &str = "driver_index.json";

/// The name of the list of the largest boards.
pub const TOP_COMBINATIONS: &str = "top_combinations.json";

/// How many boards that list has at most.
const TOP: usize = 1000;

/// Rows in a block, about 1.3 MB of JSON: large enough that starting a compressor anew costs nothing, and a few of
/// them in flight cost little memory.
const BLOCK_ROWS: usize = 4096;

/// What an export did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Whether any file differs from what was there before.
    pub changed: bool,
    /// Bytes of JSON of the driver index.
    pub json_bytes: u64,
    /// Bytes of it compressed.
    pub gzip_bytes: u64,
}

/// Writes all exports into `folder`; files whose bytes are the same already are left alone.
///
/// # Errors
/// When the file system refuses or `stop` was cancelled; no file is then half written, or half replaced.
pub fn export(
    built: &Built,
    catalog: &Catalog,
    folder: &Path,
    plain: bool,
    threads: usize,
    stop: &CancellationToken,
) -> Result<Exported, IndexError> {
    let mut gzip = NewFile::create(&folder.join(format!("{DRIVER_INDEX}.gz")))?;
    if !plain {
        // One that was written once would be served for ever.
        fs::remove(&folder.join(DRIVER_INDEX))?;
    }
    let mut text = if plain { Some(NewFile::create(&folder.join(DRIVER_INDEX))?) } else { None };
    let mut exported = write_driver_index(built, catalog, threads, stop, &mut gzip, text.as_mut(), folder)?;
    let mut top = NewFile::create(&folder.join(TOP_COMBINATIONS))?;
    write_top_combinations(built, catalog, &mut top).map_err(|error| cannot_write(folder, error))?;
    for file in [Some(gzip), text, Some(top)].into_iter().flatten() {
        exported.changed |= file.commit_if_changed()?;
    }
    Ok(exported)
}

fn cannot_write(folder: &Path, cause: io::Error) -> StoreError {
    StoreError { action: "write an export into", path: folder.to_owned(), cause }
}

/// Formats and compresses blocks on all threads, a few at a time, and writes them in order.
fn write_driver_index(
    built: &Built,
    catalog: &Catalog,
    threads: usize,
    stop: &CancellationToken,
    gzip: &mut NewFile,
    mut plain: Option<&mut NewFile>,
    folder: &Path,
) -> Result<Exported, IndexError> {
    let refused = |error| IndexError::from(cannot_write(folder, error));
    let blocks = built.entries().div_ceil(BLOCK_ROWS).max(1);
    let batch = threads * 2;
    let keep_text = plain.is_some();
    let mut exported = Exported { gzip_bytes: HEADER.len() as u64, ..Exported::default() };
    let mut trailer = Trailer::default();
    gzip.write_all(&HEADER).map_err(refused)?;
    for first in (0..blocks).step_by(batch) {
        let made = parallel::fold(threads, batch.min(blocks - first), 1, Vec::new, |made, number| {
            if stop.is_cancelled() {
                return Err(IndexError::Stopped);
            }
            let number = first + number;
            let mut text = Vec::with_capacity(BLOCK_ROWS * 384);
            write_rows(built, catalog, number * BLOCK_ROWS, number + 1 == blocks, &mut text);
            let block = Block::new(&text);
            let length = text.len() as u64;
            made.push((number, length, block, if keep_text { text } else { Vec::new() }));
            Ok(())
        })?;
        let mut made: Vec<_> = made.into_iter().flatten().collect();
        made.sort_unstable_by_key(|(number, ..)| *number);
        for (_, length, block, text) in made {
            trailer.add(&block);
            exported.json_bytes += length;
            exported.gzip_bytes += block.bytes.len() as u64;
            gzip.write_all(&block.bytes).map_err(refused)?;
            if let Some(plain) = plain.as_mut() {
                plain.write_all(&text).map_err(refused)?;
            }
        }
    }
    let trailer = trailer.bytes(exported.json_bytes);
    exported.gzip_bytes += trailer.len() as u64;
    gzip.write_all(&trailer).map_err(refused)?;
    Ok(exported)
}

/// Appends the rows of one block, with whatever stands before and between them; the last block also ends the file.
pub(super) fn write_rows(built: &Built, catalog: &Catalog, first: usize, last_block: bool, out: &mut Vec<u8>) {
    let order = &built.order;
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
        write_row(&order.row(&built.shards, place), catalog, out);
        if place + 1 == key_rows.end {
            out.push(b']');
            key += 1;
        }
    }
    if last_block {
        out.push(b'}');
    }
}

fn write_row(Placed { shard, row }: &Placed<'_>, catalog: &Catalog, out: &mut Vec<u8>) {
    let board = &shard.boards[row.board as usize];
    // Boards are read by walking the catalogue, so each has its place in it.
    let Some((track, class)) = catalog.at(board.ordinal) else { return };
    let text = |key: &str, value, out: &mut Vec<u8>| {
        out.extend_from_slice(key.as_bytes());
        write_text(shard.strings.get(value), out);
    };
    text(r#"{"name":"#, row.name, out);
    number(r#","position":"#, row.position, out);
    out.extend_from_slice(br#","laptime":"#);
    write_stored(&shard.laptime(row), packed::write_laptime, out);
    number(r#","time_diff":"#, shard.time_diff(row), out);
    text(r#","country":"#, row.country, out);
    text(r#","car":"#, row.car, out);
    text(r#","car_class":"#, row.car_class, out);
    text(r#","team":"#, row.team, out);
    text(r#","rank":"#, row.rank, out);
    text(r#","difficulty":"#, row.difficulty, out);
    text(r#","track":"#, board.name, out);
    number(r#","track_id":""#, track.id, out);
    number(r#"","class_id":""#, class.id, out);
    out.extend_from_slice(br#"","date_time":"#);
    write_stored(&shard.date_time(row), packed::write_date, out);
    number(r#","found":true,"total_entries":"#, board.entries, out);
    out.push(b'}');
}

/// Appends a key and a number, which JSON writes as Rust does: shortest form, no exponent.
fn number(key: &str, value: impl std::fmt::Display, out: &mut Vec<u8>) {
    let written = write!(out, "{key}{value}");
    debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
}

/// Appends a text as a JSON string.
fn write_text(text: &str, out: &mut Vec<u8>) {
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
}

fn write_stored(stored: &Stored<'_>, unpack: impl Fn(u64, &mut Vec<u8>), out: &mut Vec<u8>) {
    match *stored {
        Stored::Text(text) => write_text(text, out),
        Stored::Packed(value) => {
            out.push(b'"');
            unpack(value, out);
            out.push(b'"');
        }
    }
}

#[derive(Serialize)]
struct TopCombinations<'a> {
    count: usize,
    results: Vec<TopCombination<'a>>,
}

#[derive(Serialize)]
struct TopCombination<'a> {
    track: &'a str,
    track_id: String,
    class_id: String,
    class_name: &'a str,
    entry_count: u32,
}

fn write_top_combinations<'a>(built: &'a Built, catalog: &'a Catalog, out: &mut NewFile) -> io::Result<()> {
    let boards = built.shards.iter().flat_map(|shard| shard.boards.iter().map(move |board| (shard, board)));
    let mut boards: Vec<_> = boards.filter(|(_, board)| board.entries > 0).collect();
    boards.sort_unstable_by_key(|(_, board)| (std::cmp::Reverse(board.entries), board.ordinal));
    boards.truncate(TOP);
    let describe = |(shard, board): (&'a super::shard::Shard, &super::shard::Board)| {
        let (track, class) = catalog.at(board.ordinal)?;
        Some(TopCombination {
            track: shard.strings.get(board.name),
            track_id: track.id.to_string(),
            class_id: class.id.to_string(),
            class_name: &class.name,
            entry_count: board.entries,
        })
    };
    let results: Vec<_> = boards.into_iter().filter_map(describe).collect();
    serde_json::to_writer(&mut *out, &TopCombinations { count: results.len(), results })?;
    out.write_all(b"\n")
}
