//! The files of an archive: which there are, which count, and how a new one is added.
//!
//! A recording is one file, `night=2026-11-01/00000042.parquet`, with the recording's number. A compaction replaces a range of them by
//! `month=2026-10/00000001-00000031.parquet`. Which of those count is listed in `compactions/00000003.json`, the one with the highest
//! number; recordings with a number beyond it count by themselves. Every file is written under a hidden name, then copied to its
//! final name, which fails if that exists. So of two writers one wins, a killed one leaves nothing that counts, and a reader sees
//! each row once.

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
    /// Recordings that were merged, and earlier compactions.
    pub replaced: Vec<Path>,
    /// Files that never counted, and when they were written: they are being written, or were left by a killed writer.
    pub unlisted: Vec<(Path, Timestamp)>,
}

impl Files {
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

/// The path of a merged file.
#[must_use]
pub fn merged_path(month: &str, first: u64, last: u64) -> String {
    format!("month={month}/{first:08}-{last:08}.parquet")
}

/// The night of a recording's path.
#[must_use]
pub fn night_of(path: &str) -> Option<&str> {
    path.strip_prefix("night=")?.split_once('/').map(|(night, _)| night)
}

fn written(file: &ObjectMeta) -> Timestamp {
    Timestamp::from_millisecond(file.last_modified.timestamp_millis()).unwrap_or_default()
}

/// How long ago a time was; none if it is in the future, since a clock was wrong then.
fn age(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(time)).unwrap_or_default()
}

fn number_of(path: &str) -> Option<u64> {
    let (_, name) = path.strip_prefix("night=")?.split_once('/')?;
    name.strip_suffix(".parquet")?.parse().ok()
}

impl Location {
    /// Which files count. The list of compactions is read before the recordings, since a compaction adds before it removes.
    ///
    /// # Errors
    /// If the store fails, or a compaction cannot be read.
    pub async fn files(&self) -> Result<Files, ArchiveError> {
        let compactions = self.list(COMPACTIONS).await?;
        let numbered = |it: &ObjectMeta| {
            it.location.filename()?.strip_suffix(".json")?.parse().ok().map(|number: u64| (number, it.clone()))
        };
        let compactions: BTreeMap<u64, ObjectMeta> = compactions.iter().filter_map(numbered).collect();
        let compaction = match compactions.last_key_value() {
            None => (0, Compaction::default()),
            Some((number, file)) => (*number, self.compaction(&file.location).await?),
        };
        let mut files = Files { live: compaction.1.files.clone(), ..Files::default() };
        let mut recordings: BTreeMap<u64, LiveFile> = BTreeMap::new();
        for file in self.list("").await? {
            let (path, written) = (self.relative(&file.location), written(&file));
            let is_merged = |it: &str| compaction.1.files.iter().any(|live| live.path == it);
            match number_of(&path) {
                Some(number) if number > compaction.1.last() => {
                    let recording = LiveFile { path, bytes: file.size, first: number, last: number };
                    // Of two with one number, the later night counts; see `commit_recording`.
                    if let Some(twin) = recordings.insert(number, recording) {
                        files.unlisted.push((self.path(&twin.path), written));
                    }
                }
                Some(_) => files.replaced.push(file.location),
                None if path.starts_with(STAGING) || path.starts_with("month=") && !is_merged(&path) => {
                    files.unlisted.push((file.location, written));
                }
                None => {}
            }
        }
        files.live.extend(recordings.into_values());
        let earlier = compactions.into_iter().filter(|(number, _)| *number < compaction.0);
        files.replaced.extend(earlier.map(|(_, file)| file.location));
        files.compaction = compaction;
        Ok(files)
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
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => false,
            Err(error) => return Err(self.error("write", &error)),
        };
        if copied {
            self.sync_folder_of(&target).await?;
        }
        self.remove(staged).await?;
        Ok(copied)
    }

    /// Adds a recording from a staged file. Returns whether it counts: not if another writer has added one meanwhile.
    ///
    /// Around midnight, two writers can choose the same number but different nights, so both names are free. Whoever sees the other
    /// gives up; if one is killed before it does, the later night counts.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn commit_recording(&self, staged: &Path, night: &str, number: u64) -> Result<bool, ArchiveError> {
        let path = recording_path(night, number);
        if !self.commit(staged, &path).await? {
            return Ok(false);
        }
        let files = self.list("").await?;
        let is_twin = |it: &ObjectMeta| {
            let found = self.relative(&it.location);
            number_of(&found) == Some(number) && found != path
        };
        let alone = !files.iter().any(is_twin);
        if !alone {
            self.remove(&self.path(&path)).await?;
        }
        Ok(alone)
    }

    /// Adds a compaction. Returns whether no other one was added meanwhile.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn add_compaction(&self, number: u64, compaction: &Compaction) -> Result<bool, ArchiveError> {
        let staged = self.staged();
        let text = serde_json::to_vec_pretty(compaction).map_err(|error| ArchiveError::Query(error.to_string()))?;
        self.store().put(&staged, text.into()).await.map_err(|error| self.error("write", &error))?;
        self.commit(&staged, &format!("{COMPACTIONS}/{number:08}.json")).await
    }

    /// Gives a merged file its final name, which one by a killed attempt may have, with the same rows. Returns its length.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn commit_merged(&self, staged: &Path, path: &str) -> Result<u64, ArchiveError> {
        let target = self.path(path);
        match self.store().head(&target).await {
            // Nobody removes it while it is young.
            Ok(file) if age(written(&file), Timestamp::now()) < UNLISTED_AT_MOST / 2 => {}
            Ok(_) => self.remove(&target).await?,
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(self.error("read", &error)),
        }
        self.commit(staged, path).await?;
        Ok(self.store().head(&target).await.map_err(|error| self.error("read", &error))?.size)
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
        let dead: Vec<&Path> = replaced.chain(unlisted).collect();
        for path in &dead {
            self.remove(path).await?;
        }
        Ok(dead.len())
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectMeta>, ArchiveError> {
        let prefix = self.path(folder);
        let mut found: Vec<ObjectMeta> =
            self.store().list(Some(&prefix)).try_collect().await.map_err(|error| self.error("list", &error))?;
        found.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
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
