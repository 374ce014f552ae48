//! `top_combinations.json`: the boards with the most entries.

use std::cmp::Reverse;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::IndexError;
use super::generation::Generation;
use super::output::cannot_write;
use super::writer::{Exported, Range, Writer};
use crate::domain::{Catalog, Ordinal};
use crate::runtime::fs::{FsError, NewFile};
use crate::store::TOP_COMBINATIONS;

/// How many boards the list has at most.
const TOP: usize = 1000;

/// Writes the list of the boards with the most entries.
#[derive(Debug)]
pub(super) struct TopCombinations {
    file: NewFile,
    folder: PathBuf,
    boards: Vec<(Ordinal, String, u32)>,
}

#[derive(Serialize)]
struct List<'a> {
    count: usize,
    generation: Generation,
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

impl TopCombinations {
    pub(super) fn create(folder: &Path) -> Result<Self, FsError> {
        let file = NewFile::publish(&folder.join(TOP_COMBINATIONS))?;
        Ok(Self { file, folder: folder.to_owned(), boards: Vec::new() })
    }
}

impl Writer for TopCombinations {
    fn range(&mut self, range: &Range<'_>) -> Result<(), IndexError> {
        if range.is_first {
            let mut boards: Vec<_> = range.columns.boards().filter(|&(.., entries)| entries > 0).collect();
            boards.sort_unstable_by_key(|&(ordinal, _, entries)| (Reverse(entries), ordinal));
            boards.truncate(TOP);
            self.boards = boards.into_iter().map(|(board, name, entries)| (board, name.to_owned(), entries)).collect();
        }
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.boards.iter().map(|(_, name, _)| name.capacity()).sum()
    }

    fn finish(&mut self, exported: &mut Exported, catalog: &Catalog) -> Result<(), IndexError> {
        let mut results = Vec::with_capacity(self.boards.len());
        for (ordinal, track_name, entry_count) in &self.boards {
            let Some((track, class)) = catalog.at(*ordinal) else { continue };
            results.push(TopCombination {
                track: track_name,
                track_id: track.id.to_string(),
                class_id: class.id.to_string(),
                class_name: &class.name,
                entry_count: *entry_count,
            });
        }
        let list = List { count: results.len(), generation: exported.generation, results };
        serde_json::to_writer(&mut self.file, &list)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(|error| cannot_write(&self.folder, error))?;
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<bool, FsError> {
        self.file.commit_if_changed()
    }
}
