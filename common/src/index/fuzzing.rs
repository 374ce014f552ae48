//! What the fuzz targets need of this room; part of fuzzing builds only.

use serde_json::value::RawValue;

use super::columns::Columns;
use super::driver_index::write_rows;
use super::key::KeyRange;
use super::shard::Shard;
use crate::domain::{Catalog, Entry, Ordinal};

/// The text of the driver index of one board.
#[must_use]
pub fn driver_index<'a>(
    catalog: &Catalog,
    board: Ordinal,
    name: &str,
    entries: impl Iterator<Item = &'a RawValue>,
) -> Vec<u8> {
    let (mut shard, mut count) = (Shard::new(KeyRange::default()), 0);
    for raw in entries {
        count += 1;
        if let Some(entry) = Entry::read(raw) {
            shard.push(&entry);
        }
    }
    shard.end_board(board, name, count);
    let columns = Columns::new(vec![shard]);
    let mut text = vec![b'{'];
    write_rows(&columns, catalog, 0, 0..columns.order.rows(), &mut text);
    text.push(b'}');
    text
}
