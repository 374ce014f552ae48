//! The input of every kind of published file: rows and their order.

use super::order::{self, Order, RowRef};
use super::rows::Fields;
use super::shard::Shard;
use super::sort_key::SortKey;
use crate::domain::{Catalog, Class, Ordinal, Track};

/// All rows in a range of keys, and all boards.
#[derive(Debug, Default)]
pub(super) struct Columns {
    shards: Vec<Shard>,
    pub(super) order: Order,
}

impl Columns {
    pub(super) fn new(mut shards: Vec<Shard>, sort_key: SortKey<'_>) -> Self {
        let order = order::order(&mut shards, sort_key);
        Self { shards, order }
    }

    /// The same rows, sorted by another key.
    pub(super) fn reordered(self, sort_key: SortKey<'_>) -> Self {
        drop(self.order);
        Self::new(self.shards, sort_key)
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.shards.iter().map(Shard::bytes).sum::<usize>() + self.order.bytes()
    }

    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// A name or an id that has that key.
    pub(super) fn key_text(&self, key: usize) -> &str {
        self.order.key_text(&self.shards, key)
    }

    /// The row at this position of the order.
    pub(super) fn row_at(&self, place: usize) -> RowRef<'_> {
        self.order.row(&self.shards, place)
    }

    /// The fields of the row at this position of the order, with its track and class.
    pub(super) fn row<'a>(
        &'a self,
        place: usize,
        catalog: &'a Catalog,
    ) -> Option<((&'a Track, &'a Class), Fields<'a>)> {
        let RowRef { shard, row, .. } = self.row_at(place);
        // Always found: only boards of the catalogue are read.
        catalog.at(shard.boards[row.board as usize].ordinal).map(|place| (place, shard.fields(row)))
    }

    /// All boards, each with its track layout's name and its entries.
    pub(super) fn boards(&self) -> impl Iterator<Item = (Ordinal, &str, u32)> {
        self.shards.iter().flat_map(Shard::named_boards)
    }
}
