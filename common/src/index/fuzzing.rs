//! What the fuzz targets need of this room; part of fuzzing builds only.

use serde_json::value::RawValue;

use super::columns::Columns;
use super::key::KeyRange;
use super::objects::{Keyed as _, write_items};
use super::row_objects::Rows;
use super::rows::Form;
use super::shard::Shard;
use super::sort_key::SortKey;
use crate::domain::{Catalog, Entry, Ordinal};

/// The text of the driver index of one board.
#[must_use]
pub fn driver_index<'a>(
    catalog: &Catalog,
    board: Ordinal,
    name: &str,
    entries: impl Iterator<Item = &'a RawValue>,
) -> Vec<u8> {
    let (mut shard, mut count) = (Shard::new(KeyRange::default(), false), 0);
    for raw in entries {
        count += 1;
        if let Some(entry) = Entry::read(raw) {
            shard.push(&entry);
        }
    }
    shard.end_board(board, name, count);
    let columns = Columns::new(vec![shard], SortKey::Name);
    let rows = Rows { columns: &columns, catalog, sort_key: SortKey::Name, form: Form::DriverIndex };
    let mut text = vec![b'{'];
    write_items(&rows, &[0..rows.items(), 0..0], 0..rows.items(), true, &mut text);
    text.push(b'}');
    text
}
