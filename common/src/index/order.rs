//! The order of the index: drivers by key, and each driver's results in catalogue order, then by position.
//!
//! Rows are not moved. Only distinct names are compared and sorted; a counting sort then orders the rows, which is linear
//! in their number.

use super::intern::Text;
use super::shard::{Row, Shard};
use super::sort_key::SortKey;
use crate::domain::Ordinal;

/// The number of a row, counted over all shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RowNumber(u32);

/// The order in which the rows of all shards are written.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// All keys, sorted, each with the end of its rows in `sequence`.
    keys: Vec<Key>,
    /// All rows, sorted by key.
    sequence: Vec<RowNumber>,
    /// The first row number of each shard.
    shard_starts: Vec<usize>,
}

/// A key: the first name or id that has it, and where its rows end.
#[derive(Debug)]
struct Key {
    shard: u32,
    text: Text,
    rows_end: usize,
}

/// A row, with its shard and the shard's number.
#[derive(Debug)]
pub(super) struct RowRef<'a> {
    pub(super) number: usize,
    pub(super) shard: &'a Shard,
    pub(super) row: &'a Row,
}

impl Order {
    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.sequence.len()
    }

    /// How many distinct keys there are.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// The key of the row at this position in the order.
    pub(super) fn key_at(&self, place: usize) -> usize {
        self.keys.partition_point(|key| key.rows_end <= place)
    }

    /// A name or id that has this key.
    pub(super) fn key_text<'s>(&self, shards: &'s [Shard], key: usize) -> &'s str {
        let Key { shard, text, .. } = self.keys[key];
        shards[shard as usize].strings.get(text)
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.keys.capacity() * size_of::<Key>() + self.sequence.capacity() * size_of::<RowNumber>()
    }

    /// The positions of a key's rows.
    pub(super) fn key_rows(&self, key: usize) -> std::ops::Range<usize> {
        let start = if key == 0 { 0 } else { self.keys[key - 1].rows_end };
        start..self.keys[key].rows_end
    }

    /// The row at this position.
    pub(super) fn row<'a>(&self, shards: &'a [Shard], place: usize) -> RowRef<'a> {
        locate(shards, &self.shard_starts, self.sequence[place])
    }
}

fn locate<'a>(shards: &'a [Shard], starts: &[usize], number: RowNumber) -> RowRef<'a> {
    let number = number.0 as usize;
    let shard = starts.partition_point(|&start| start <= number) - 1;
    RowRef { number: shard, shard: &shards[shard], row: &shards[shard].rows[number - starts[shard]] }
}

/// Sorts the rows. From now on, the shards' strings are read-only.
pub(super) fn order(shards: &mut [Shard], sort_key: SortKey<'_>) -> Order {
    for shard in &mut *shards {
        shard.strings.freeze();
    }
    let shards = &*shards;
    let mut starts = Vec::with_capacity(shards.len());
    let mut total = 0;
    for shard in shards {
        starts.push(total);
        total += shard.rows.len();
    }
    let Texts { mut keys, key_of } = Texts::of(shards, sort_key);
    let key = |shard: usize, row: &Row| key_of[shard][sort_key.text(row.name, row.driver).0 as usize] as usize;

    // Counting sort: count the rows of each key, and set `rows_end` to where they begin …
    for (number, shard) in shards.iter().enumerate() {
        for row in shard.rows.iter() {
            keys[key(number, row)].rows_end += 1;
        }
    }
    let mut begin = 0;
    for it in &mut keys {
        begin += std::mem::replace(&mut it.rows_end, begin);
    }
    // … then place the rows board by board, which advances it to their end.
    let mut sequence = vec![RowNumber(0); total];
    for (_, number, board) in boards(shards) {
        for row in shards[number].rows_of(board) {
            let end = &mut keys[key(number, &shards[number].rows[row])].rows_end;
            // Cannot fail: `build` refuses more rows than fit 32 bits.
            sequence[*end] = RowNumber(u32::try_from(starts[number] + row).unwrap_or(u32::MAX));
            *end += 1;
        }
    }
    let order = Order { keys, sequence, shard_starts: starts };
    by_position(order, shards)
}

/// All boards in catalogue order, as ordinal, shard number and board number within the shard.
fn boards(shards: &[Shard]) -> Vec<(Ordinal, usize, usize)> {
    let of_shard = |(number, shard): (usize, &Shard)| {
        shard.boards.iter().enumerate().map(move |(board, it)| (it.ordinal, number, board)).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = shards.iter().enumerate().flat_map(of_shard).collect();
    all.sort_unstable();
    all
}

/// Sorts rows with the same key on the same board by position. Mostly these are different people with the same name.
fn by_position(mut order: Order, shards: &[Shard]) -> Order {
    let mut sequence = std::mem::take(&mut order.sequence);
    for key in 0..order.keys() {
        let rows = &mut sequence[order.key_rows(key)];
        let rank = |number: &RowNumber| {
            let RowRef { shard, row, .. } = locate(shards, &order.shard_starts, *number);
            (shard.boards[row.board as usize].ordinal, row.position)
        };
        if !rows.is_sorted_by_key(rank) {
            rows.sort_by_key(rank);
        }
    }
    order.sequence = sequence;
    order
}

/// The distinct keys, sorted, and for each shard a table from names or ids to keys.
struct Texts {
    keys: Vec<Key>,
    key_of: Vec<Vec<u32>>,
}

impl Texts {
    fn of(shards: &[Shard], sort_key: SortKey<'_>) -> Self {
        let used = |shard: &Shard| {
            let mut used = vec![false; shard.strings.len()];
            shard.rows.iter().for_each(|row| used[sort_key.text(row.name, row.driver).0 as usize] = true);
            used
        };
        let used: Vec<Vec<bool>> = shards.iter().map(used).collect();
        let text = |shard: u32, name: Text| shards[shard as usize].strings.get(name);
        let count = used.iter().flatten().filter(|it| **it).count();
        let mut names = Vec::with_capacity(count);
        let mut buffer = String::new();
        for (shard, used) in (0..).zip(&used) {
            for (name, _) in (0..).zip(used).filter(|(_, used)| **used) {
                names.push((sort_key.rank(text(shard, Text(name)), &mut buffer), shard, Text(name)));
            }
        }
        drop(used);
        let compare = |a: &(u64, u32, Text), b: &(u64, u32, Text)| {
            a.0.cmp(&b.0).then_with(|| sort_key.compare_ranked(text(a.1, a.2), text(b.1, b.2)))
        };
        names.sort_unstable_by(compare);
        let distinct = names.chunk_by(|a, b| compare(a, b).is_eq());
        let mut keys = Vec::with_capacity(distinct.clone().count());
        let mut key_of: Vec<Vec<u32>> = shards.iter().map(|shard| vec![0; shard.strings.len()]).collect();
        for same in distinct {
            for &(_, shard, name) in same {
                // There are no more keys than rows.
                key_of[shard as usize][name.0 as usize] = u32::try_from(keys.len()).unwrap_or(u32::MAX);
            }
            keys.push(Key { shard: same[0].1, text: same[0].2, rows_end: 0 });
        }
        Self { keys, key_of }
    }
}
