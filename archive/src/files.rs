//! The files of an archive: which there are, which count, and how a new one is added.
//!
//! A recording is one file, `night=2026-11-01/00000042.parquet`, with the recording's number. A compaction replaces a range of them by
//! `month=2026-10/00000001-00000031.parquet`. Which of those count is listed in `compactions/00000003.json`, the one with the highest
//! number; recordings with a number beyond it count by themselves. `numbers/00000042` says which night a number belongs to. Every file is written under a hidden name, then copied to its
//! final name, which fails if that exists. So of two writers one wins, a killed one leaves nothing that counts, and a reader sees
//! each row once.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};
use serde::{Deserialize, Serialize};

use crate::error::{ArchiveError, StoreError};
use crate::location::Location;

/// Where files are written before they count.
const STAGING: &str = ".staging";
const COMPACTIONS: &str = "compactions";
/// Which night a recording's number belongs to.
const NUMBERS: &str = "numbers";

/// How often the archive is listed before a file counts as missing.
const LISTINGS: u32 = 3;

/// Files that do not count yet and are older than this were left by a killed writer.
const UNLISTED_AT_MOST: Duration = Duration::from_hours(24);

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
struct Found {
    path: String,
    bytes: u64,
    written: Timestamp,
}

impl Files {
    /// What should be there and was not found: recordings in between, or a merged file.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let mut expected = 1;
        for file in &self.live {
            if file.first > expected {
                return Some(format!("recordings {expected} to {}", file.first - 1));
            }
            expected = file.last + 1;
        }
        self.lost.first().cloned()
    }

    /// Which of the files that were found count, after this compaction.
    fn of(number: u64, compaction: Compaction, mut found: Vec<Found>) -> Self {
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

fn written(file: &ObjectMeta) -> Timestamp {
    Timestamp::from_millisecond(file.last_modified.timestamp_millis()).unwrap_or_default()
}

/// How long ago a time was; zero if it lies in the future, because then a clock was wrong.
fn age(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(time)).unwrap_or_default()
}

fn recording_number(path: &str) -> Option<u64> {
    let (_, name) = path.strip_prefix("night=")?.split_once('/')?;
    name.strip_suffix(".parquet")?.parse().ok()
}

fn claimed_number(path: &str) -> Option<u64> {
    path.strip_prefix(NUMBERS)?.strip_prefix('/')?.parse().ok()
}

fn compaction_path(number: u64) -> String {
    format!("{COMPACTIONS}/{number:08}.json")
}

fn compaction_number(path: &str) -> Option<u64> {
    path.strip_prefix(COMPACTIONS)?.strip_prefix('/')?.strip_suffix(".json")?.parse().ok()
}

impl Location {
    /// Which files count.
    ///
    /// # Errors
    /// If the store fails, or a file that counts is missing.
    pub async fn files(&self) -> Result<Files, ArchiveError> {
        let mut missing = String::new();
        // A listing is no snapshot: it may have a recording without the one before.
        for _ in 0..LISTINGS {
            let files = self.found_files().await?;
            match files.missing() {
                None => return Ok(files),
                Some(what) => missing = what,
            }
        }
        Err(ArchiveError::Damaged { file: self.to_string(), problem: format!("{missing} missing") })
    }

    /// Which files count, as far as they were found.
    ///
    /// # Errors
    /// If the store fails, or a compaction cannot be read.
    pub async fn found_files(&self) -> Result<Files, ArchiveError> {
        loop {
            let number = self.last_compaction().await?;
            let compaction = match number {
                0 => Compaction::default(),
                number => match self.compaction(&self.path(&compaction_path(number))).await {
                    // It was replaced and removed meanwhile.
                    Err(error) if error.is_missing() => continue,
                    compaction => compaction?,
                },
            };
            let found = self.list("").await?.into_iter().map(|it| Found {
                path: self.relative(&it.location),
                bytes: it.size,
                written: written(&it),
            });
            let files = Files::of(number, compaction, found.collect());
            // A compaction adds before it removes: if there is no newer one, nothing was removed that counts after this one.
            if self.last_compaction().await? == number {
                return Ok(files);
            }
        }
    }

    /// The highest number of a compaction; 0 if there is none.
    async fn last_compaction(&self) -> Result<u64, ArchiveError> {
        let found = self.list(COMPACTIONS).await?;
        Ok(found.iter().filter_map(|it| compaction_number(&self.relative(&it.location))).max().unwrap_or(0))
    }

    async fn compaction(&self, path: &Path) -> Result<Compaction, ArchiveError> {
        let bytes = self.read(path).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| ArchiveError::Damaged { file: path.to_string(), problem: error.to_string() })
    }

    /// A new file in staging.
    #[must_use]
    pub fn staged(&self) -> Path {
        let name = format!("{}-{}.parquet", Timestamp::now().as_nanosecond(), std::process::id());
        self.path(&format!("{STAGING}/{name}"))
    }

    /// Gives a staged file its final name. Returns whether that was free. The staged file is removed.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn commit(&self, staged: &Path, path: &str) -> Result<bool, ArchiveError> {
        self.sync_file(staged).await?;
        let target = self.path(path);
        self.create_folder_of(&target).await?;
        let copied = match self.store().copy_if_not_exists(staged, &target).await {
            Ok(()) => true,
            // It may be ours: a request whose answer was lost is repeated.
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                self.are_equal(staged, &target).await?
            }
            Err(error) => return Err(self.error("write", &error)),
        };
        if copied {
            self.sync_folder_of(&target).await?;
        }
        if let Err(error) = self.remove(staged).await {
            tracing::warn!(file = %staged, %error, "cannot remove a staged file; compact will");
        }
        Ok(copied)
    }

    async fn are_equal(&self, one: &Path, other: &Path) -> Result<bool, ArchiveError> {
        let bytes = async |path: &Path| {
            let found = self.store().head(path).await.map_err(|error| self.error("read", &error))?;
            Ok::<u64, ArchiveError>(found.size)
        };
        Ok(bytes(one).await? == bytes(other).await? && self.read(one).await? == self.read(other).await?)
    }

    /// Adds a recording from a staged file. Returns its path, or none if another writer has added one of this number meanwhile.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn commit_recording(
        &self,
        staged: &Path,
        night: &str,
        number: u64,
    ) -> Result<Option<String>, ArchiveError> {
        let path = recording_path(&self.claim(number, night).await?, number);
        if !self.commit(staged, &path).await? {
            return Ok(None);
        }
        if self.files().await?.live.iter().any(|it| it.path == path) {
            return Ok(Some(path));
        }
        // This process slept for so long that recordings beyond this number were merged.
        self.remove(&self.path(&path)).await?;
        Ok(None)
    }

    /// The night of a recording's number: that of the first writer who asks. So writers on both sides of midnight contend for one name.
    async fn claim(&self, number: u64, night: &str) -> Result<String, ArchiveError> {
        let (staged, path) = (self.staged(), format!("{NUMBERS}/{number:08}"));
        let written = self.store().put(&staged, night.to_owned().into()).await;
        written.map_err(|error| self.error("write", &error))?;
        if self.commit(&staged, &path).await? {
            return Ok(night.to_owned());
        }
        let path = self.path(&path);
        let claimed = String::from_utf8_lossy(&self.read(&path).await?).into_owned();
        if claimed.parse::<jiff::civil::Date>().is_ok() {
            return Ok(claimed);
        }
        let problem = format!("expected a date, found {claimed:?}");
        Err(ArchiveError::Damaged { file: path.to_string(), problem })
    }

    /// Adds a compaction. Returns whether no other one was added meanwhile.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn add_compaction(&self, number: u64, compaction: &Compaction) -> Result<bool, ArchiveError> {
        let staged = self.staged();
        let text = serde_json::to_vec_pretty(compaction).map_err(|error| ArchiveError::Query(error.to_string()))?;
        self.store().put(&staged, text.into()).await.map_err(|error| self.error("write", &error))?;
        self.commit(&staged, &compaction_path(number)).await
    }

    /// The length of a file.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn bytes_of(&self, path: &str) -> Result<u64, ArchiveError> {
        Ok(self.store().head(&self.path(path)).await.map_err(|error| self.error("read", &error))?.size)
    }

    /// Removes recordings that were merged more than `keep` ago, and what killed writers left. Returns how many files.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn remove_dead(&self, files: &Files, keep: Duration, now: Timestamp) -> Result<usize, ArchiveError> {
        let merged = Timestamp::from_millisecond(files.compaction.1.made_ms).unwrap_or_default();
        let is_left = |written: Timestamp| age(written, now) > UNLISTED_AT_MOST;
        let replaced = files.replaced.iter().filter(|_| age(merged, now) >= keep);
        let unlisted = files.unlisted.iter().filter(|(_, written)| is_left(*written)).map(|(path, _)| path);
        let dead: Vec<&String> = replaced.chain(unlisted).collect();
        for path in &dead {
            self.remove(&self.path(path)).await?;
        }
        Ok(dead.len())
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectMeta>, ArchiveError> {
        let prefix = self.path(folder);
        self.store().list(Some(&prefix)).try_collect().await.map_err(|error| self.error("list", &error))
    }

    pub(crate) async fn read(&self, path: &Path) -> Result<Vec<u8>, ArchiveError> {
        let got = self.store().get(path).await.map_err(|error| self.error("read", &error))?;
        Ok(got.bytes().await.map_err(|error| self.error("read", &error))?.to_vec())
    }

    pub(crate) async fn remove(&self, path: &Path) -> Result<(), ArchiveError> {
        match self.store().delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error("remove", &error)),
        }
    }

    pub(crate) fn error(&self, doing: &str, error: &object_store::Error) -> ArchiveError {
        StoreError::new(&self.to_string(), doing, error).into()
    }

    pub(crate) fn shared_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(self.store())
    }
}
