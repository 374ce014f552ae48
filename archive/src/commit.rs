//! How files are listed, added to an archive and removed from it. Every file is staged, then copied to a name that must be free.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt as _, PutPayload};
use r3e_common::runtime::fs;

use crate::error::{ArchiveError, StoreError, timestamp};
use crate::files::{
    COMPACTIONS, Compaction, Files, Found, NUMBERS, STAGING, compaction_number, compaction_path, recording_path,
};
use crate::location::Location;

/// How often the archive is listed before a file counts as missing.
const LISTINGS: u32 = 3;

/// Files that do not count yet and are older than this were left by a killed writer.
const UNLISTED_AT_MOST: Duration = Duration::from_hours(24);

/// When a file was written. A store cannot tell a time that is out of bounds; 1970 would only make the file old.
fn written(file: &ObjectMeta) -> Timestamp {
    Timestamp::from_millisecond(file.last_modified.timestamp_millis()).unwrap_or_default()
}

/// How long ago a time was; zero if it lies in the future, because then a clock was wrong.
fn age(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(time)).unwrap_or_default()
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

    /// Writes a small file to staging.
    async fn stage(&self, content: PutPayload) -> Result<Path, ArchiveError> {
        let staged = self.staged();
        self.store().put(&staged, content).await.map_err(|error| self.error("write", &error))?;
        Ok(staged)
    }

    /// Gives a staged file its final name. Returns whether that was free. The staged file is removed.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn commit(&self, staged: &Path, path: &str) -> Result<bool, ArchiveError> {
        self.sync_file(staged)?;
        let target = self.path(path);
        self.create_folder_of(&target)?;
        let copied = match self.store().copy_if_not_exists(staged, &target).await {
            Ok(()) => true,
            // It may be ours: a request whose answer was lost is repeated.
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                self.are_equal(staged, &target).await?
            }
            Err(error) => return Err(self.error("write", &error)),
        };
        if copied {
            self.sync_folder_of(&target)?;
        }
        if let Err(error) = self.remove(staged).await {
            tracing::warn!(file = %staged, %error, "cannot remove a staged file; compact will");
        }
        Ok(copied)
    }

    async fn are_equal(&self, one: &Path, other: &Path) -> Result<bool, ArchiveError> {
        let same_length = self.length(one).await? == self.length(other).await?;
        Ok(same_length && self.read(one).await? == self.read(other).await?)
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
        let (staged, path) = (self.stage(night.to_owned().into()).await?, format!("{NUMBERS}/{number:08}"));
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
        let text = serde_json::to_vec_pretty(compaction).map_err(|error| ArchiveError::Encode(error.to_string()))?;
        let staged = self.stage(text.into()).await?;
        self.commit(&staged, &compaction_path(number)).await
    }

    /// The length of a file.
    pub(crate) async fn length(&self, path: &Path) -> Result<u64, ArchiveError> {
        Ok(self.store().head(path).await.map_err(|error| self.error("read", &error))?.size)
    }

    /// Removes recordings that were merged more than `keep` ago, and what killed writers left. Returns how many files.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn remove_dead(&self, files: &Files, keep: Duration, now: Timestamp) -> Result<usize, ArchiveError> {
        let merged = timestamp(files.compaction.1.made_ms)?;
        let replaced: &[String] = if age(merged, now) >= keep { &files.replaced } else { &[] };
        let is_left = |written: Timestamp| age(written, now) > UNLISTED_AT_MOST;
        let unlisted = files.unlisted.iter().filter(|(_, written)| is_left(*written)).map(|(path, _)| path);
        let dead: Vec<&String> = replaced.iter().chain(unlisted).collect();
        for path in &dead {
            let path = self.path(path);
            self.remove(&path).await?;
            self.remove_empty_folder_of(&path)?;
        }
        let mut removed = dead.len();
        for file in self.unfinished(STAGING)? {
            let written = fs::modified(&file)?.and_then(|it| Timestamp::try_from(it).ok());
            if written.is_some_and(is_left) {
                fs::remove(&file)?;
                removed += 1;
            }
        }
        Ok(removed)
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
}
