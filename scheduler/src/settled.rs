//! What the scheduler remembers from run to run: up to when all due runs were noticed, and the one of them that is not over.
//!
//! It stands in the staging folder, which is on disk and ours to write, beside what jobs remember; they leave it alone.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use r3e_common::runtime::exit::{Exit, Fatal};
use r3e_common::runtime::fs::{self, FsError};
use r3e_common::store::{Versioned, read_versioned};
use serde::{Deserialize, Serialize};

/// The file's name in the staging folder.
const NAME: &str = ".scheduler.json";

/// The format that is written here.
const FORMAT: u32 = 1;

/// Reason it is not known, or not kept, what is settled.
#[derive(Debug, thiserror::Error)]
pub enum SettledError {
    /// A newer version of the scheduler has written it.
    #[error("{} is in format {found}, newer than this program's {FORMAT} (hint: use the newer program, or remove the file: \
        no run is then made up for)", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format that it says.
        found: u32,
    },
    /// The file system refused.
    #[error(transparent)]
    Store(#[from] FsError),
}

impl Fatal for SettledError {
    fn exit(&self) -> Exit {
        match self {
            Self::Newer { .. } => Exit::Configuration,
            Self::Store(error) => error.exit(),
        }
    }
}

/// What is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Up to when all runs that were due were noticed: each of them is over, skipped, or pending.
    #[serde(rename = "settled_at")]
    pub at: Timestamp,
    /// The run that is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// A refresh that was due, and is at work or waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// When it was due.
    pub due_at: Timestamp,
    /// The number of the try that is at work or waits, from 1.
    pub attempt: u32,
    /// When that try starts or has started, unless another job is at work then; none until the configuration is read again.
    pub not_before: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    format: u32,
    #[serde(flatten)]
    settled: Settled,
}

/// Where it is remembered.
pub(crate) fn path(staging: &Path) -> PathBuf {
    staging.join(NAME)
}

/// What is remembered; none where nothing is, or the file says nothing that can be understood, which is logged.
///
/// # Errors
/// When the file is there and cannot be read, or is of a newer format.
pub fn load(staging: &Path) -> Result<Option<Settled>, SettledError> {
    let path = path(staging);
    match read_versioned::<Content>(&path, FORMAT)? {
        Versioned::Missing => Ok(None),
        Versioned::Newer(found) => Err(SettledError::Newer { path, found }),
        Versioned::Content(it) => Ok(Some(it.settled)),
        Versioned::Garbage(error) => {
            tracing::warn!(path = %path.display(), %error, "not the scheduler's memory: begun anew");
            Ok(None)
        }
    }
}

/// Keeps it, synced, so that a power cut neither repeats nor loses a run.
///
/// # Errors
/// When the system refuses; what was kept before is kept then.
pub fn save(staging: &Path, settled: Settled) -> Result<(), SettledError> {
    let (path, content) = (path(staging), Content { format: FORMAT, settled });
    let text = serde_json::to_vec(&content).map_err(|error| FsError::new("write", &path, error.into()))?;
    fs::publish_folders(staging)?;
    Ok(fs::publish_whole(&path, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Settled {
        Settled { at: "2026-11-24T03:00:00Z".parse().unwrap(), pending: None }
    }

    #[test]
    fn it_reads_back_as_it_stands_in_the_documentation() {
        let folder = tempfile::tempdir().unwrap();
        let staging = folder.path().join("deep/cache_temp");
        assert_eq!(load(&staging).unwrap(), None);
        save(&staging, at()).unwrap();
        let text = std::fs::read_to_string(staging.join(".scheduler.json")).unwrap();
        assert_eq!(text, r#"{"format":1,"settled_at":"2026-11-24T03:00:00Z"}"#);
        assert_eq!(load(&staging).unwrap(), Some(at()));
        let pending =
            Pending { due_at: at().at, attempt: 3, not_before: Some("2026-11-24T03:04:05.5Z".parse().unwrap()) };
        for pending in [pending, Pending { not_before: None, ..pending }] {
            let settled = Settled { at: Timestamp::MAX, pending: Some(pending) };
            save(&staging, settled).unwrap();
            assert_eq!(load(&staging).unwrap(), Some(settled));
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
        save(folder.path(), at()).unwrap();
        assert_eq!(load(folder.path()).unwrap(), Some(at()));
    }

    #[test]
    fn a_newer_format_is_refused_whatever_else_it_says() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), r#"{"format":2,"settled":{"daily":7}}"#).unwrap();
        let error = load(folder.path()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(".scheduler.json is in format 2, newer than this program's 1 (hint:"), "{message}");
        assert_eq!(error.exit(), Exit::Configuration);
    }

    #[test]
    fn what_the_disk_refuses_is_told_with_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "no folder").unwrap();
        for error in [load(&file).unwrap_err(), save(&file, at()).unwrap_err()] {
            assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
            assert_eq!(error.exit(), Exit::Disk);
        }
    }
}
