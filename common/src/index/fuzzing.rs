//! What the fuzz targets need of this room; part of fuzzing builds only.

use serde_json::value::RawValue;

use super::blocks::write_rows;
use super::order;
use super::shard::Shard;
use crate::domain::{Catalog, Ordinal};
use crate::store::Entries as _;

/// The text of the driver index of one board.
#[must_use]
pub fn driver_index<'a>(
    catalog: &Catalog,
    board: Ordinal,
    name: &str,
    entries: impl Iterator<Item = &'a RawValue>,
) -> Vec<u8> {
    let mut shard = Shard::new();
    let mut reading = shard.begin(board);
    entries.for_each(|entry| reading.entry(entry));
    reading.end(name);
    let mut shards = vec![shard];
    let order = order::order(&mut shards);
    let mut text = Vec::new();
    write_rows((&shards, &order), catalog, 0, true, &mut text);
    text
}
