//! The files of an archive: which there are, which count, and how a new one is added.
//!
//! A recording is one file, `night=2026-11-01/00000042.parquet`, with the recording's number. A compaction replaces a range of them by
//! one of `month=2026-10/`. Which of those count is listed in `compactions/00000003.json`, the one with the highest number; recordings
//! with a number beyond it count by themselves. `numbers/00000042` says which night a number belongs to. Every file is written under a
//! hidden name, then copied to its final name, which fails if that exists. So of two writers one wins, a killed one leaves nothing
//! that counts, and a reader sees each row once.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where files are written before they count.
pub(crate) const STAGING: &str = ".staging";
pub(crate) const COMPACTIONS: &str = "compactions";
/// Which night a recording's number belongs to.
pub(crate) const NUMBERS: &str = "numbers";

/// A Parquet file that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveFile {
    /// Its path in the archive.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// The number of the first recording in it.
    pub first: u64,
    /// The number of the last recording in it.
    pub last: u64,
}

/// Which files a compaction left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    /// The merged files, in order of their recordings, without gaps.
    pub files: Vec<LiveFile>,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: i64,
}

impl Compaction {
    /// The number of the last recording that was merged.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.files.last().map_or(0, |it| it.last)
    }
}

/// The state of an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// All files that count, in order of their recordings.
    pub live: Vec<LiveFile>,
    /// The last compaction, and its number.
    pub compaction: (u64, Compaction),
    /// Merged files that count and were not found, or not with their length.
    pub lost: Vec<String>,
    /// Recordings that were merged, and earlier compactions.
    pub replaced: Vec<String>,
    /// Files that never counted, and when they were written: they are being written, or were left by a killed writer.
    pub unlisted: Vec<(String, Timestamp)>,
}

/// A file that was found in an archive.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) written: Timestamp,
}

impl Files {
    /// What should be there and was not found: recordings in between, or a merged file.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let gap = self.gaps().next().map(|(first, file)| format!("recordings {first} to {}", file.first - 1));
        gap.or_else(|| self.lost.first().cloned())
    }

    /// Where recordings are missing, which have no gaps: the first missing number, and the file that follows.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = (u64, &LiveFile)> {
        let expected = std::iter::once(1).chain(self.live.iter().map(|it| it.last + 1));
        expected.zip(&self.live).filter(|(expected, file)| file.first > *expected)
    }

    /// Which of the files that were found count, after this compaction.
    pub(crate) fn of(number: u64, compaction: Compaction, mut found: Vec<Found>) -> Self {
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let is_lost = |it: &&LiveFile| !found.iter().any(|file| file.path == it.path && file.bytes == it.bytes);
        let lost = compaction.files.iter().filter(is_lost).map(|it| it.path.clone()).collect();
        let mut files = Self { live: compaction.files.clone(), lost, ..Self::default() };
        let mut recordings: BTreeMap<u64, LiveFile> = BTreeMap::new();
        for Found { path, bytes, written } in found {
            let is_merged = |it: &str| compaction.files.iter().any(|live| live.path == it);
            match (recording_number(&path), compaction_number(&path)) {
                (Some(recording), _) if recording > compaction.last() => {
                    let file = LiveFile { path, bytes, first: recording, last: recording };
                    recordings.insert(recording, file);
                }
                (Some(_), _) => files.replaced.push(path),
                (None, Some(other)) if other < number => files.replaced.push(path),
                _ if claimed_number(&path).is_some_and(|it| it <= compaction.last()) => files.replaced.push(path),
                _ if path.starts_with(STAGING) || path.starts_with("month=") && !is_merged(&path) => {
                    files.unlisted.push((path, written));
                }
                _ => {}
            }
        }
        files.live.extend(recordings.into_values());
        files.compaction = (number, compaction);
        files
    }

    /// The number of the last recording.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.live.last().map_or(0, |it| it.last)
    }

    /// The recordings that were not merged yet.
    #[must_use]
    pub fn recordings(&self) -> &[LiveFile] {
        &self.live[self.compaction.1.files.len()..]
    }
}

/// The path of a recording.
#[must_use]
pub fn recording_path(night: &str, number: u64) -> String {
    format!("night={night}/{number:08}.parquet")
}

/// The path of a merged file. Each attempt to merge has a name of its own, so that none removes the file of another.
#[must_use]
pub fn merged_path(month: &str, first: u64, last: u64, attempt: i128) -> String {
    format!("month={month}/{first:08}-{last:08}-{attempt}.parquet")
}

/// The night of a recording's path.
#[must_use]
pub fn night_of(path: &str) -> Option<&str> {
    path.strip_prefix("night=")?.split_once('/').map(|(night, _)| night)
}

pub(crate) fn recording_number(path: &str) -> Option<u64> {
    let (_, name) = path.strip_prefix("night=")?.split_once('/')?;
    name.strip_suffix(".parquet")?.parse().ok()
}

pub(crate) fn claimed_number(path: &str) -> Option<u64> {
    path.strip_prefix(NUMBERS)?.strip_prefix('/')?.parse().ok()
}

pub(crate) fn compaction_path(number: u64) -> String {
    format!("{COMPACTIONS}/{number:08}.json")
}

pub(crate) fn compaction_number(path: &str) -> Option<u64> {
    path.strip_prefix(COMPACTIONS)?.strip_prefix('/')?.strip_suffix(".json")?.parse().ok()
}
