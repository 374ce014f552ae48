//! The state file of a staging folder: its format, and whether a full refresh is unfinished.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::versioned::{Versioned, read_versioned};
use crate::runtime::fs::{self, At as _, FsError};
use crate::runtime::timestamp;

const NAME: &str = ".staging.json";

/// The current format. A folder without the file was written by the older program, whose boards are the same.
const FORMAT: u32 = 1;

/// Why a staging folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// A newer version wrote it.
    #[error("{} has format {found}, newer than this program's {FORMAT} (hint: use the newer program, or move the folder \
        aside; its boards will be fetched again)", folder.display())]
    Newer {
        /// The staging folder.
        folder: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The file system failed.
    #[error(transparent)]
    Store(#[from] FsError),
}

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StagingState {
    format: u32,
    /// When the unfinished full refresh began, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    full_refresh_since: Option<String>,
}

impl StagingState {
    /// Reads the state of a folder. An invalid file counts as missing: at worst, a refresh starts over.
    pub(super) fn read(folder: &Path) -> Result<Self, StagingError> {
        let path = Self::path(folder);
        let nothing = Self { format: FORMAT, full_refresh_since: None };
        match read_versioned(&path, FORMAT)? {
            Versioned::Content(state) => Ok(state),
            Versioned::Missing => Ok(nothing),
            Versioned::Newer(found) => Err(StagingError::Newer { folder: folder.to_owned(), found }),
            Versioned::Garbage(error) => {
                tracing::warn!(path = %path.display(), %error, "invalid state of the staging folder; starting afresh");
                Ok(nothing)
            }
        }
    }

    /// Removes the temporary file of a killed writer.
    pub(super) fn remove_unfinished(folder: &Path) -> Result<(), FsError> {
        fs::remove(&fs::temporary(&folder.join(NAME)))
    }

    /// The path of a folder's state.
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }

    /// Writes the state, synced.
    pub(super) fn write(&self, folder: &Path) -> Result<(), FsError> {
        let path = Self::path(folder);
        let text = serde_json::to_vec(self).map_err(std::io::Error::other).at("write", &path)?;
        fs::publish_whole(&path, &text)
    }

    /// When the unfinished full refresh began. An invalid time counts as none.
    pub(super) fn full_refresh_since(&self) -> Option<SystemTime> {
        let since: jiff::Timestamp = self.full_refresh_since.as_ref()?.parse().ok()?;
        SystemTime::try_from(since).ok()
    }

    /// The state during a full refresh that began at `since`, or without one.
    pub(super) fn with_full_refresh(since: Option<SystemTime>) -> Self {
        Self { format: FORMAT, full_refresh_since: since.map(timestamp) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_round_trips_and_an_invalid_file_counts_as_missing() {
        let folder = tempfile::tempdir().unwrap();
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_870_411_500);
        let read = || StagingState::read(folder.path()).unwrap().full_refresh_since();
        assert_eq!(read(), None);
        StagingState::with_full_refresh(Some(since)).write(folder.path()).unwrap();
        assert_eq!(read(), Some(since));
        for garbage in ["", "{", "[]", r#"{"format":"1"}"#, r#"{"format":1,"full_refresh_since":"yesterday"}"#] {
            fs::write_whole(&folder.path().join(NAME), garbage.as_bytes()).unwrap();
            assert_eq!(read(), None, "{garbage}");
        }
    }

    #[test]
    fn a_newer_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write_whole(&folder.path().join(NAME), br#"{"format":2,"something":"new"}"#).unwrap();
        let message = StagingState::read(folder.path()).unwrap_err().to_string();
        assert!(message.contains("format 2, newer than this program's 1"), "{message}");
        // Whatever else it contains.
        fs::write_whole(&folder.path().join(NAME), br#"{"format":3,"full_refresh_since":{"at":7}}"#).unwrap();
        assert!(matches!(StagingState::read(folder.path()), Err(StagingError::Newer { found: 3, .. })));
    }
}
