//! Records what was published last, and from which state of the cache. If neither has changed since, an export reads and
//! writes nothing.
//!
//! A file is identified by device, inode, length and time. That is enough because files are only ever replaced as a whole.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::boards::{BoardState, Built};
use super::range_scan::Source;
use super::rows::write_json;
use super::stale;
use super::writer::Exported;
use crate::runtime::config::IndexFormat;
use crate::runtime::fs::{self, FileId, FsError};

/// Increase this whenever the same boards produce different files.
const FORMAT: u32 = 1;

const MAX_BYTES: u64 = 64 << 20;

/// A fingerprint of the boards, the catalogue and the settings, and of the ratings that were published last.
#[derive(Debug)]
pub struct Fingerprint {
    state: u64,
    /// Covers the boards too, since countries come from them.
    ratings: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    of: u64,
    ratings: Option<u64>,
    /// All published files.
    files: u64,
    exported: Exported,
    nameless: usize,
    entries: usize,
    /// The entries of each board in the cache, in catalogue order.
    boards: Vec<Option<u32>>,
}

impl Fingerprint {
    /// The current fingerprint, and the last publication, if it has the same fingerprint and its files are unchanged.
    ///
    /// # Errors
    /// If the file system fails.
    pub fn of(source: &Source<'_>, plain: bool) -> Result<(Self, Option<(Built, Exported)>), FsError> {
        let mut files: Vec<Option<FileId>> = Vec::with_capacity(source.catalog.len());
        for board in source.catalog.combinations() {
            files.push(fs::linked_identity(&source.cache.board_path(board))?);
        }
        let mut hasher = DefaultHasher::new();
        (FORMAT, env!("CARGO_PKG_VERSION"), plain).hash(&mut hasher);
        source.formats.iter().for_each(|it| it.to_string().hash(&mut hasher));
        source.catalog.to_toml().hash(&mut hasher);
        files.hash(&mut hasher);
        let state = hasher.finish();
        let last = Record::last(source.cache.folder())?;
        let ratings = match source.ratings {
            _ if !source.has(IndexFormat::April2026) => None,
            Some(ratings) => {
                ratings.hash(&mut hasher);
                Some(hasher.finish())
            }
            None => last.as_ref().and_then(|it| it.ratings),
        };
        let fingerprint = Self { state, ratings };
        let published = last.as_ref().and_then(|it| fingerprint.published(it, &files));
        Ok((fingerprint, published))
    }

    fn published(&self, record: &Record, files: &[Option<FileId>]) -> Option<(Built, Exported)> {
        if (record.of, record.ratings) != (self.state, self.ratings) || record.boards.len() != files.len() {
            return None;
        }
        let state = |(file, entries): (&Option<FileId>, &Option<u32>)| {
            let written = file.and_then(FileId::written);
            written
                .zip(*entries)
                .map_or(BoardState::Missing, |(written, entries)| BoardState::Cached { written, entries })
        };
        let Record { nameless, entries, exported, .. } = *record;
        let states = files.iter().zip(&record.boards).map(state).collect();
        Some((Built { states, damaged: Vec::new(), entries, nameless }, Exported { written: 0, ..exported }))
    }

    /// Records what was published from this state. Damaged boards are read again next time, so that they are reported again.
    ///
    /// # Errors
    /// If the file system fails.
    pub fn keep(&self, source: &Source<'_>, built: &Built, exported: &Exported) -> Result<(), FsError> {
        let folder = source.cache.folder();
        if !built.damaged.is_empty() {
            return fs::remove(&path(folder));
        }
        let entries = |state: &BoardState| match state {
            BoardState::Missing => None,
            BoardState::Cached { entries, .. } => Some(*entries),
        };
        let record = Record {
            of: self.state,
            ratings: self.ratings,
            files: published_files(folder)?,
            exported: *exported,
            nameless: built.nameless,
            entries: built.entries,
            boards: built.states.iter().map(entries).collect(),
        };
        let mut text = Vec::new();
        write_json(&record, &mut text);
        fs::publish_whole(&path(folder), &text)
    }
}

impl Record {
    /// The last publication, if all its files are unchanged.
    fn last(folder: &Path) -> Result<Option<Self>, FsError> {
        let mut bytes = Vec::new();
        if fs::read_into(&path(folder), &mut bytes, MAX_BYTES)?.is_none() {
            return Ok(None);
        }
        // Of another version, it may be anything.
        let Ok(record) = serde_json::from_slice::<Self>(&bytes) else { return Ok(None) };
        Ok((record.files == published_files(folder)?).then_some(record))
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join(".publication.json")
}

/// All published files: boards apart, and `status.json`, which other programs change too.
fn published_files(folder: &Path) -> Result<u64, FsError> {
    let mut hasher = DefaultHasher::new();
    for path in stale::published(folder)? {
        // However the folder was named.
        let name = path.strip_prefix(folder).unwrap_or(&path);
        (name, fs::identity(&path)?).hash(&mut hasher);
    }
    Ok(hasher.finish())
}
