//! Published files that contain one JSON object, with a list of items under each key: one file for all keys, or one per
//! shard.
//!
//! Items arrive in ranges of keys. Block boundaries affect the compressed bytes, so if a range does not fill its last
//! block, the rest is carried over to the next range as text.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::blocks::{Work, Workers};
use super::error::IndexError;
use super::headroom::block_cost;
use super::names::{SHARDS, shard_name};
use super::output::{Output, Written};
use super::rows::{self, write_json};
use super::staged::Staged;

/// Items per block, about 1.3 MB of JSON in the driver index: large enough that starting a new compressor costs nothing,
/// and small enough that a few blocks in flight take little memory.
pub(super) const BLOCK_ITEMS: usize = 4096;

/// Items, sorted by key.
pub(super) trait Keyed: Sync {
    fn items(&self) -> usize;
    fn keys(&self) -> usize;
    /// The key of the item at this position.
    fn key_at(&self, place: usize) -> usize;
    /// The positions of a key's items.
    fn items_of(&self, key: usize) -> Range<usize>;
    /// The text of a key.
    fn key(&self, key: usize) -> String;
    /// Appends an item as JSON.
    fn write(&self, place: usize, out: &mut Vec<u8>);
    /// An upper bound of an item's size in bytes.
    fn max_bytes(&self, place: usize) -> usize;
    /// Memory use in bytes.
    fn bytes(&self) -> usize;
}

/// A run of keys in the same file: those whose first byte is at least `from`, up to the next run.
#[derive(Debug, Clone, Copy)]
struct Run {
    from: u8,
    file: usize,
}

#[derive(Debug)]
struct File {
    name: String,
    plain: bool,
    /// `None` before the first block.
    output: Option<Output>,
    /// The text of items that do not fill a block yet.
    carried: Vec<u8>,
    carried_items: usize,
    /// Whether any items were written to it.
    has_items: bool,
    written: Option<Written>,
}

/// The positions of a file's items in one range of keys: at most two contiguous runs.
pub(super) type Part = [Range<usize>; 2];

/// One block of a file, and the items of the part that it contains.
struct Block {
    file: usize,
    items: Range<usize>,
    takes_carried: bool,
    ends: bool,
}

/// Writes one or more files, each with one object.
#[derive(Debug)]
pub(super) struct Objects {
    runs: Vec<Run>,
    files: Vec<File>,
}

impl Objects {
    /// One file for all keys; with `plain`, also an uncompressed copy.
    pub(super) fn one(name: &str, plain: bool) -> Self {
        Self { runs: vec![Run { from: 0, file: 0 }], files: vec![File::new(name.to_owned(), plain)] }
    }

    /// One file per shard in `folder`. The last shard has the keys before `a` and after `z`.
    pub(super) fn shards(folder: &str) -> Self {
        let rest = SHARDS - 1;
        let letters = (b'a'..=b'z').zip(0..).map(|(from, file)| Run { from, file });
        let (before, after) = (Run { from: 0, file: rest }, Run { from: b'z' + 1, file: rest });
        let name = |shard| format!("{folder}/{}.json", shard_name(shard));
        Self {
            runs: [before].into_iter().chain(letters).chain([after]).collect(),
            files: (0..SHARDS).map(|shard| File::new(name(shard), false)).collect(),
        }
    }

    /// Writes the items of the next range of keys. `held` is the number of bytes held by everything except `source`.
    pub(super) fn range(
        &mut self,
        source: &impl Keyed,
        is_last: bool,
        workers: &Workers<'_>,
        held: usize,
        staged: &mut Staged,
    ) -> Result<(), IndexError> {
        let parts = self.parts(source);
        let blocks = self.blocks(source, &parts, is_last);
        let held = held + source.bytes();
        let carried: Vec<_> = self.files.iter_mut().map(|it| Mutex::new(std::mem::take(&mut it.carried))).collect();
        let lock = |file: usize| carried[file].lock().unwrap_or_else(PoisonError::into_inner);
        let starts: Vec<bool> = self.files.iter().map(|it| !it.has_items).collect();
        let work = Work {
            blocks: blocks.len(),
            held,
            keep_text: self.files.iter().any(|it| it.plain),
            max_bytes: |block: usize| {
                let Block { file, items, takes_carried, .. } = &blocks[block];
                let carried = if *takes_carried { lock(*file).len() } else { 0 };
                carried + max_bytes(source, &parts[*file], items.clone())
            },
            text: |block: usize, out: &mut Vec<u8>| {
                let Block { file, items, takes_carried, ends } = &blocks[block];
                if *takes_carried {
                    out.append(&mut lock(*file));
                }
                write_items(source, &parts[*file], items.clone(), starts[*file], out);
                if *ends {
                    out.push(b'}');
                }
            },
        };
        let files = &mut self.files;
        workers.make(&work, |number, block, text| {
            let file = &mut files[blocks[number].file];
            let output = match &mut file.output {
                Some(output) => output,
                none => none.insert(Output::new(staged, &file.name, file.plain)?),
            };
            output.block(staged, block, text)?;
            if blocks[number].ends {
                file.written = file.output.take().map(|it| it.end(staged, None)).transpose()?;
            }
            Ok(())
        })?;
        let carried = carried.into_iter().map(|it| it.into_inner().unwrap_or_else(PoisonError::into_inner));
        for ((file, carried), part) in self.files.iter_mut().zip(carried).zip(&parts) {
            if file.written.is_none() {
                file.carried = carried;
                file.carry(source, part, workers, held)?;
            }
            file.has_items |= items_of(part) > 0;
        }
        Ok(())
    }

    /// Bytes held between ranges.
    pub(super) fn held_bytes(&self) -> usize {
        self.files.iter().map(|it| it.carried.capacity()).sum()
    }

    /// The result for the first file, once everything is written.
    pub(super) fn written(&self) -> Option<Written> {
        self.files.first()?.written
    }

    /// The items of each file.
    fn parts(&self, source: &impl Keyed) -> Vec<Part> {
        let mut parts: Vec<Part> = vec![[0..0, 0..0]; self.files.len()];
        let starts: Vec<usize> = self.runs.iter().map(|run| first_item(source, run.from)).collect();
        let ends = starts.iter().skip(1).copied().chain([source.items()]);
        for ((run, &start), end) in self.runs.iter().zip(&starts).zip(ends) {
            let [first, second] = &mut parts[run.file];
            *(if first.end == 0 { first } else { second }) = start..end;
        }
        parts
    }

    /// The blocks that can be written now: only full ones, unless no more keys can follow in the file.
    fn blocks(&self, source: &impl Keyed, parts: &[Part], is_last: bool) -> Vec<Block> {
        let last_key = source.keys().checked_sub(1).map(|key| source.key(key));
        let reached = last_key.and_then(|key| key.bytes().next());
        let reached = reached.map_or(0, |first| self.runs.partition_point(|run| run.from <= first).saturating_sub(1));
        let mut blocks = Vec::new();
        for (number, (file, part)) in self.files.iter().zip(parts).enumerate() {
            let is_over = is_last || self.runs[reached..].iter().all(|run| run.file != number);
            let total = file.carried_items + items_of(part);
            // A full block waits until an item follows, since the last block of a file also closes the object.
            let count = match (&file.written, is_over) {
                (Some(_), _) => 0,
                (None, true) => total.div_ceil(BLOCK_ITEMS).max(1),
                (None, false) => total.saturating_sub(1) / BLOCK_ITEMS,
            };
            let start = |block: usize| (block * BLOCK_ITEMS).saturating_sub(file.carried_items);
            blocks.extend((0..count).map(|block| Block {
                file: number,
                items: start(block)..start(block + 1).min(items_of(part)),
                takes_carried: block == 0,
                ends: is_over && block + 1 == count,
            }));
        }
        blocks
    }
}

impl File {
    fn new(name: String, plain: bool) -> Self {
        let carried = vec![b'{'];
        Self { name, plain, output: None, carried, carried_items: 0, has_items: false, written: None }
    }

    /// Keeps the text of items that do not fill a block.
    fn carry(
        &mut self,
        source: &impl Keyed,
        part: &Part,
        workers: &Workers<'_>,
        held: usize,
    ) -> Result<(), IndexError> {
        let total = self.carried_items + items_of(part);
        let full = total.saturating_sub(1) / BLOCK_ITEMS * BLOCK_ITEMS;
        let items = full.saturating_sub(self.carried_items)..items_of(part);
        if let Some(plan) = workers.plan {
            let size = self.carried.len() + max_bytes(source, part, items.clone());
            if size > plan.blocks(held) {
                return Err(plan.too_small_for_block(block_cost(size)));
            }
            self.carried.reserve_exact(size - self.carried.len());
        }
        write_items(source, part, items, !self.has_items, &mut self.carried);
        self.carried_items = total - full;
        Ok(())
    }
}

/// How many items a part has.
fn items_of([first, second]: &Part) -> usize {
    first.len() + second.len()
}

/// The positions of the items `items` of a part, where 0 is its first item.
fn places([first, second]: &Part, items: Range<usize>) -> [Range<usize>; 2] {
    let of = |run: &Range<usize>, skipped: usize| {
        let cut = |item: usize| run.start + item.saturating_sub(skipped).min(run.len());
        cut(items.start)..cut(items.end)
    };
    [of(first, 0), of(second, first.len())]
}

/// The position of the first item whose key begins with this byte or a higher one. Empty keys are in no file.
fn first_item(source: &impl Keyed, from: u8) -> usize {
    let (mut low, mut high) = (0, source.keys());
    while low < high {
        let middle = usize::midpoint(low, high);
        if source.key(middle).bytes().next() < Some(from) { low = middle + 1 } else { high = middle }
    }
    if low < source.keys() { source.items_of(low).start } else { source.items() }
}

/// An upper bound of the size of these items' text in bytes, including the end of the object.
fn max_bytes(source: &impl Keyed, part: &Part, items: Range<usize>) -> usize {
    let mut bytes = 2;
    for run in places(part, items).into_iter().filter(|it| !it.is_empty()) {
        bytes += run.clone().map(|place| source.max_bytes(place)).sum::<usize>();
        for key in source.key_at(run.start)..=source.key_at(run.end - 1) {
            bytes += rows::text_bytes(&source.key(key)) + 6;
        }
    }
    bytes
}

/// Appends items with their keys and separators. `starts` is whether these are the first items of the file.
pub(super) fn write_items(source: &impl Keyed, part: &Part, items: Range<usize>, starts: bool, out: &mut Vec<u8>) {
    let mut is_first = starts && items.start == 0;
    for run in places(part, items).into_iter().filter(|it| !it.is_empty()) {
        let mut key = source.key_at(run.start);
        for place in run {
            let of_key = source.items_of(key);
            if place == of_key.start {
                if !is_first {
                    out.push(b',');
                }
                write_json(&source.key(key), out);
                out.extend_from_slice(b":[");
            } else {
                out.push(b',');
            }
            is_first = false;
            source.write(place, out);
            if place + 1 == of_key.end {
                out.push(b']');
                key += 1;
            }
        }
    }
}
