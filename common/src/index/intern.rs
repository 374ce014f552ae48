//! Strings stored once: one arena, and a table of numbers into it.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// A string of an [`Interner`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text(pub(super) u32);

/// Two million names take 77 MB here, against 266 MB in a map of owned strings.
#[derive(Debug)]
pub(super) struct Interner {
    arena: String,
    ends: Vec<usize>,
    table: HashTable<u32>,
    hasher: RandomState,
}

impl Interner {
    /// An interner with only the empty string.
    pub(super) fn new() -> Self {
        let mut it =
            Self { arena: String::new(), ends: Vec::new(), table: HashTable::new(), hasher: RandomState::default() };
        it.intern("");
        it
    }

    /// Interns a string. The number cannot overflow: there are fewer distinct strings than rows times fields, and
    /// [`super::build`] limits the rows.
    #[expect(clippy::cast_possible_truncation, reason = "see the bound on rows in Shard")]
    pub(super) fn intern(&mut self, text: &str) -> Text {
        if text.is_empty() && !self.ends.is_empty() {
            return Text(0);
        }
        let Self { arena, ends, table, hasher } = self;
        let hash = hasher.hash_one(text);
        if let Some(&found) = table.find(hash, |&other| slice(arena, ends, other) == text) {
            return Text(found);
        }
        if arena.capacity() - arena.len() < text.len() {
            arena.reserve_exact(text.len().max(arena.capacity() / 4).max(1024));
        }
        arena.push_str(text);
        if ends.len() == ends.capacity() {
            ends.reserve_exact((ends.capacity() / 4).max(256));
        }
        ends.push(arena.len());
        let new = (ends.len() - 1) as u32;
        table.insert_unique(hash, new, |&other| hasher.hash_one(slice(arena, ends, other)));
        Text(new)
    }

    /// The number of a string, if it is interned. Always `None` once the interner is frozen.
    pub(super) fn find(&self, text: &str) -> Option<Text> {
        let Self { arena, ends, table, hasher } = self;
        table.find(hasher.hash_one(text), |&other| slice(arena, ends, other) == text).map(|&found| Text(found))
    }

    /// The text of a number.
    pub(super) fn get(&self, text: Text) -> &str {
        slice(&self.arena, &self.ends, text.0)
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.arena.capacity() + self.ends.capacity() * size_of::<usize>() + self.table.allocation_size()
    }

    /// Memory use in bytes, including a reserve for growth, when a list briefly exists twice. Sorting the strings later
    /// needs less than that.
    pub(super) fn reserved_bytes(&self) -> usize {
        let lists = self.arena.capacity() + self.ends.capacity() * size_of::<usize>();
        lists / 4 * 9 + self.table.allocation_size() * 4
    }

    /// How many texts there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Frees the hash table: from now on, strings can only be read.
    pub(super) fn freeze(&mut self) {
        self.table = HashTable::new();
    }
}

fn slice<'a>(arena: &'a str, ends: &[usize], number: u32) -> &'a str {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends[number - 1] };
    &arena[start..ends[number]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Miri takes seconds for a text.
    const MAX_TEXTS: usize = if cfg!(miri) { 8 } else { 200 };

    proptest! {
        #[test]
        fn a_text_gets_one_number_and_reads_back(texts in proptest::collection::vec("\\PC{0,3}", 0..MAX_TEXTS)) {
            let mut interner = Interner::new();
            let numbers: Vec<Text> = texts.iter().map(|text| interner.intern(text)).collect();
            for (text, &number) in texts.iter().zip(&numbers) {
                prop_assert_eq!(interner.get(number), text.as_str());
                prop_assert_eq!(interner.intern(text), number);
                prop_assert_eq!(interner.find(text), Some(number));
            }
            let distinct: std::collections::HashSet<&str> = texts.iter().map(String::as_str).chain([""]).collect();
            prop_assert_eq!(interner.len(), distinct.len());
        }
    }
}
