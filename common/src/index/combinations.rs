//! The boards that have entries, those with the most first: one list, published under several names.

use std::cmp::Reverse;

use serde::Serialize;

use super::columns::Columns;
use super::error::IndexError;
use super::generation::Generation;
use super::gzip::{self, Block};
use super::output::Output;
use super::range_scan::Source;
use super::rows::write_json;
use super::staged::Staged;
use super::writer::Exported;
use crate::domain::Ordinal;
use crate::runtime::config::IndexFormat;
use crate::store::TOP_COMBINATIONS;

/// How many boards are at the top.
const TOP: usize = 1000;

/// The boards that have entries, those with the most first.
#[derive(Debug)]
pub(super) struct Combinations(Vec<(Ordinal, String, u32)>);

#[derive(Serialize)]
struct List<'a> {
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<Generation>,
    results: &'a [Combination<'a>],
}

#[derive(Serialize)]
struct Combination<'a> {
    track: &'a str,
    track_id: String,
    class_id: String,
    class_name: &'a str,
    entry_count: u32,
}

impl Combinations {
    /// Any range of keys has all boards.
    pub(super) fn of(columns: &Columns) -> Self {
        let mut boards: Vec<_> = columns.boards().filter(|&(.., entries)| entries > 0).collect();
        boards.sort_unstable_by_key(|&(ordinal, _, entries)| (Reverse(entries), ordinal));
        Self(boards.into_iter().map(|(board, name, entries)| (board, name.to_owned(), entries)).collect())
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let names = self.0.iter().map(|(_, name, _)| name.capacity()).sum::<usize>();
        names + self.0.capacity() * size_of::<(Ordinal, String, u32)>()
    }

    /// Writes the lists of all formats.
    pub(super) fn write(
        &self,
        source: &Source<'_>,
        exported: &Exported,
        staged: &mut Staged,
    ) -> Result<(), IndexError> {
        let mut all = Vec::with_capacity(self.0.len());
        for (ordinal, track_name, entry_count) in &self.0 {
            let Some((track, class)) = source.catalog.at(*ordinal) else { continue };
            all.push(Combination {
                track: track_name,
                track_id: track.id.to_string(),
                class_id: class.id.to_string(),
                class_name: &class.name,
                entry_count: *entry_count,
            });
        }
        let top = &all[..all.len().min(TOP)];
        if source.has(IndexFormat::April2026) {
            // The second name is that of later front ends.
            for (name, results) in [("top_combinations", top), ("all_combinations", &all)] {
                let block = Block::new(&list(None, results), gzip::USUAL)?;
                for name in [format!("{name}.json"), format!("combinations/{name}.json")] {
                    let mut output = Output::new(staged, &name, false)?;
                    output.block(staged, &block, &[])?;
                    output.end(staged, None)?;
                }
            }
        }
        if source.has(IndexFormat::February2026) {
            staged.write(TOP_COMBINATIONS, &list(Some(exported.generation), top), None)?;
        }
        Ok(())
    }
}

fn list(generation: Option<Generation>, results: &[Combination<'_>]) -> Vec<u8> {
    let mut text = Vec::new();
    write_json(&List { count: results.len(), generation, results }, &mut text);
    text.push(b'\n');
    text
}
