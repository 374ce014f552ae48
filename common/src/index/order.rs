//! The order of the index: drivers by key; a driver's results in catalogue order, then by position.
//!
//! Rows stay where they were read. Names are sorted once each; rows then fall into place by counting, so the cost grows
//! with the rows only as a walk over them does.

use super::intern::Text;
use super::shard::{Row, Shard};
use crate::domain::Ordinal;

/// Which row of which shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RowNumber(u32);

/// The order in which the rows of all shards are written.
#[derive(Debug)]
pub(super) struct Order {
    /// Lower-case names, one after the other.
    key_text: String,
    /// Each key's text and the end of its rows, in order.
    keys: Vec<Key>,
    /// All rows, by key.
    sequence: Vec<RowNumber>,
    /// Where each shard's row numbers begin.
    shard_starts: Vec<usize>,
}

#[derive(Debug)]
struct Key {
    text: std::ops::Range<usize>,
    rows_end: usize,
}

/// A row in its place.
#[derive(Debug)]
pub(super) struct Placed<'a> {
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

    /// The key whose rows hold that place.
    pub(super) fn key_at(&self, place: usize) -> usize {
        self.keys.partition_point(|key| key.rows_end <= place)
    }

    /// A key's text.
    pub(super) fn key_text(&self, key: usize) -> &str {
        &self.key_text[self.keys[key].text.clone()]
    }

    /// The places of a key's rows.
    pub(super) fn key_rows(&self, key: usize) -> std::ops::Range<usize> {
        let start = if key == 0 { 0 } else { self.keys[key - 1].rows_end };
        start..self.keys[key].rows_end
    }

    /// The row at that place.
    pub(super) fn row<'a>(&self, shards: &'a [Shard], place: usize) -> Placed<'a> {
        locate(shards, &self.shard_starts, self.sequence[place])
    }
}

fn locate<'a>(shards: &'a [Shard], starts: &[usize], number: RowNumber) -> Placed<'a> {
    let number = number.0 as usize;
    let shard = starts.partition_point(|&start| start <= number) - 1;
    Placed { shard: &shards[shard], row: &shards[shard].rows[number - starts[shard]] }
}

/// Finds the order; the shards' strings are only read from then on.
pub(super) fn order(shards: &mut [Shard]) -> Order {
    for shard in &mut *shards {
        shard.strings.freeze();
        shard.rows.shrink_to_fit();
    }
    let shards = &*shards;
    let mut starts = Vec::with_capacity(shards.len());
    let mut total = 0;
    for shard in shards {
        starts.push(total);
        total += shard.rows.len();
    }
    let Names { key_text, mut keys, key_of } = Names::of(shards);
    let key = |shard: usize, name: Text| key_of[shard][name.0 as usize] as usize;

    // Count each key's rows, so that `rows_end` is where they begin …
    for (number, shard) in shards.iter().enumerate() {
        for row in &shard.rows {
            keys[key(number, row.name)].rows_end += 1;
        }
    }
    let mut begin = 0;
    for it in &mut keys {
        begin += std::mem::replace(&mut it.rows_end, begin);
    }
    // … and let the rows fall into place board by board, which moves it to their end.
    let mut sequence = vec![RowNumber(0); total];
    for (_, number, board) in boards(shards) {
        for row in shards[number].rows_of(board) {
            let end = &mut keys[key(number, shards[number].rows[row].name)].rows_end;
            // `build` refuses more rows than 32 bits can number.
            sequence[*end] = RowNumber(u32::try_from(starts[number] + row).unwrap_or(u32::MAX));
            *end += 1;
        }
    }
    let order = Order { key_text, keys, sequence, shard_starts: starts };
    by_position(order, shards)
}

/// All boards in catalogue order: ordinal, shard, the board's number in it.
fn boards(shards: &[Shard]) -> Vec<(Ordinal, usize, usize)> {
    let of_shard = |(number, shard): (usize, &Shard)| {
        shard.boards.iter().enumerate().map(move |(board, it)| (it.ordinal, number, board)).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = shards.iter().enumerate().flat_map(of_shard).collect();
    all.sort_unstable();
    all
}

/// Puts rows of one key on one board into the order of their positions: people of the same name, mostly.
fn by_position(mut order: Order, shards: &[Shard]) -> Order {
    let mut sequence = std::mem::take(&mut order.sequence);
    for key in 0..order.keys() {
        let rows = &mut sequence[order.key_rows(key)];
        let rank = |number: &RowNumber| {
            let Placed { shard, row } = locate(shards, &order.shard_starts, *number);
            (shard.boards[row.board as usize].ordinal, row.position)
        };
        if !rows.is_sorted_by_key(rank) {
            rows.sort_by_key(rank);
        }
    }
    order.sequence = sequence;
    order
}

/// The distinct keys in order, and each shard's way from a name to its key.
struct Names {
    key_text: String,
    keys: Vec<Key>,
    key_of: Vec<Vec<u32>>,
}

impl Names {
    fn of(shards: &[Shard]) -> Self {
        let mut lower = String::new();
        let mut names = Vec::new();
        for (number, shard) in shards.iter().enumerate() {
            let mut seen = vec![false; shard.strings.len()];
            for row in &shard.rows {
                if !std::mem::replace(&mut seen[row.name.0 as usize], true) {
                    let start = lower.len();
                    push_key(shard.strings.get(row.name), &mut lower);
                    names.push((start..lower.len(), number, row.name));
                }
            }
        }
        names.sort_unstable_by(|a, b| lower[a.0.clone()].cmp(&lower[b.0.clone()]));
        let mut key_of: Vec<Vec<u32>> = shards.iter().map(|shard| vec![0; shard.strings.len()]).collect();
        let mut keys: Vec<Key> = Vec::new();
        for (text, shard, name) in names {
            if keys.last().is_none_or(|last| lower[last.text.clone()] != lower[text.clone()]) {
                keys.push(Key { text, rows_end: 0 });
            }
            // There are no more keys than rows.
            key_of[shard][name.0 as usize] = u32::try_from(keys.len() - 1).unwrap_or(u32::MAX);
        }
        Self { key_text: lower, keys, key_of }
    }
}

/// Appends a name in lower case: full Unicode rules without locale, final sigma included, as in JavaScript.
pub(super) fn push_key(name: &str, out: &mut String) {
    if name.is_ascii() {
        out.extend(name.chars().map(|c| c.to_ascii_lowercase()));
    } else {
        out.push_str(&name.to_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_the_rules_of_javascript() {
        // Each pair was printed by `"…".toLowerCase()` in a browser's engine.
        for (name, key) in [
            ("LUDO Flender", "ludo flender"),
            ("İsmail", "i\u{307}smail"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("ΣΑΣ Σ", "σας σ"),
            ("GROẞE Straße", "große straße"),
            ("DŽ Dž", "dž dž"),
            ("K", "k"),
            ("佐藤 ÑANDÚ", "佐藤 ñandú"),
        ] {
            let mut out = String::new();
            push_key(name, &mut out);
            assert_eq!(out, key, "{name}");
        }
    }
}
