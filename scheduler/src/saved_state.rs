//! The scheduler's saved state: up to when due runs are settled (started or skipped), and the unfinished one. It is a file in the
//! staging folder, which jobs ignore.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use r3e_common::runtime::exit::{Exit, Fatal};
use r3e_common::runtime::fs::{self, FsError};
use r3e_common::store::{Versioned, read_versioned};
use serde::{Deserialize, Serialize};

/// The file's name in the staging folder.
const NAME: &str = ".scheduler.json";

/// The current format.
const FORMAT: u32 = 1;

/// Why the state cannot be read or saved.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A newer version wrote it.
    #[error("{} is in format {found}, newer than this program's {FORMAT} (hint: use the newer program, or remove the file; \
        missed runs are then not caught up)", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The file system failed.
    #[error(transparent)]
    Store(#[from] FsError),
}

impl Fatal for StateError {
    fn exit(&self) -> Exit {
        match self {
            Self::Newer { .. } => Exit::Configuration,
            Self::Store(error) => error.exit(),
        }
    }
}

/// The state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState {
    /// All runs due up to this time are finished, skipped or pending.
    pub settled_at: Timestamp,
    /// The unfinished run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// A due refresh that is running or waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// When it was due.
    pub due_at: Timestamp,
    /// The number of the running or waiting attempt, from 1.
    pub attempt: u32,
    /// When that attempt starts or started, unless another job is running; `None` until the configuration is reloaded.
    pub not_before: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    format: u32,
    #[serde(flatten)]
    state: SavedState,
}

/// The path of the state.
pub(crate) fn path(staging: &Path) -> PathBuf {
    staging.join(NAME)
}

/// Loads the state, if there is one. An invalid file is logged and ignored.
///
/// # Errors
/// If the file cannot be read, or has a newer format.
pub fn load(staging: &Path) -> Result<Option<SavedState>, StateError> {
    let path = path(staging);
    match read_versioned::<Content>(&path, FORMAT)? {
        Versioned::Missing => Ok(None),
        Versioned::Newer(found) => Err(StateError::Newer { path, found }),
        Versioned::Content(it) => Ok(Some(it.state)),
        Versioned::Garbage(error) => {
            tracing::warn!(path = %path.display(), %error, "invalid saved state; starting afresh");
            Ok(None)
        }
    }
}

/// Saves the state, synced, so that a power failure neither repeats nor loses a run.
///
/// # Errors
/// If the file system fails. The previous state then remains.
pub fn save(staging: &Path, state: SavedState) -> Result<(), StateError> {
    let (path, content) = (path(staging), Content { format: FORMAT, state });
    let text = serde_json::to_vec(&content).map_err(|error| FsError::new("write", &path, error.into()))?;
    fs::publish_folders(staging)?;
    Ok(fs::publish_whole(&path, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> SavedState {
        SavedState { settled_at: "2026-11-24T03:00:00Z".parse().unwrap(), pending: None }
    }

    #[test]
    fn it_round_trips() {
        let folder = tempfile::tempdir().unwrap();
        let staging = folder.path().join("deep/cache_temp");
        assert_eq!(load(&staging).unwrap(), None);
        save(&staging, state()).unwrap();
        let text = std::fs::read_to_string(staging.join(".scheduler.json")).unwrap();
        assert_eq!(text, r#"{"format":1,"settled_at":"2026-11-24T03:00:00Z"}"#);
        assert_eq!(load(&staging).unwrap(), Some(state()));
        let pending = Pending {
            due_at: state().settled_at,
            attempt: 3,
            not_before: Some("2026-11-24T03:04:05.5Z".parse().unwrap()),
        };
        for pending in [pending, Pending { not_before: None, ..pending }] {
            let state = SavedState { settled_at: Timestamp::MAX, pending: Some(pending) };
            save(&staging, state).unwrap();
            assert_eq!(load(&staging).unwrap(), Some(state));
        }
        insta::assert_snapshot!(std::fs::read_to_string(staging.join(NAME)).unwrap(), @r#"{"format":1,"settled_at":"9999-12-30T22:00:00.999999999Z","pending":{"due_at":"2026-11-24T03:00:00Z","attempt":3,"not_before":null}}"#);
        let files = std::fs::read_dir(&staging).unwrap().count();
        assert_eq!(files, 1, "nothing else is left there");
    }

    #[test]
    fn garbage_counts_as_none_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let long = format!(r#"{{"format":1,"settled_at":"{}"}}"#, "2".repeat(100_000));
        for garbage in [
            "",
            "{",
            "[]",
            "\0\0\0\0",
            r#"{"format":1}"#,
            r#"{"format":"1","settled_at":"2026-11-24T03:00:00Z"}"#,
            r#"{"format":1,"settled_at":"yesterday"}"#,
            r#"{"format":1,"settled_at":"2026-11-24T03:00:00"}"#,
            r#"{"format":1,"settled_at":1795}"#,
            r#"{"format":1,"settled_at":"2026-11-24T03:00:00Z","pending":{"due_at":7}}"#,
            &long,
        ] {
            std::fs::write(folder.path().join(NAME), garbage).unwrap();
            assert_eq!(load(folder.path()).unwrap(), None, "{garbage:.60}");
        }
        save(folder.path(), state()).unwrap();
        assert_eq!(load(folder.path()).unwrap(), Some(state()));
    }

    #[test]
    fn a_newer_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), r#"{"format":2,"settled":{"daily":7}}"#).unwrap();
        let error = load(folder.path()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(".scheduler.json is in format 2, newer than this program's 1 (hint:"), "{message}");
        assert_eq!(error.exit(), Exit::Configuration);
    }

    #[test]
    fn errors_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "no folder").unwrap();
        for error in [load(&file).unwrap_err(), save(&file, state()).unwrap_err()] {
            assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
            assert_eq!(error.exit(), Exit::Disk);
        }
    }
}
