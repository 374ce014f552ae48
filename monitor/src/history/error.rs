//! Why the history cannot be read or written.

use std::path::{Path, PathBuf};

use r3e_common::runtime::exit::{Exit, Fatal};
use r3e_common::runtime::fs::FsError;
use rusqlite::ErrorCode;

/// Why the history cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    #[error(
        "monitor.history = {}: its version is {found}, and this program knows {known}; hint: update r3e-monitor, or \
         name another file", path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// A watch of an earlier version would fail if its history were migrated.
    #[error(
        "monitor.history = {}: a watch of an earlier version keeps it; hint: restart r3e-monitor watch", path.display()
    )]
    KeptByOlder { path: PathBuf },
    #[error("monitor.history = {}: this is a database of another program; expected a history or no file", path.display())]
    Foreign { path: PathBuf },
    #[error("cannot {action} the history {}: {cause}", path.display())]
    Database { action: &'static str, path: PathBuf, cause: rusqlite::Error },
    #[error(transparent)]
    Store(#[from] FsError),
}

impl Fatal for HistoryError {
    fn exit(&self) -> Exit {
        match self {
            Self::Newer { .. } | Self::Foreign { .. } => Exit::Configuration,
            Self::KeptByOlder { .. } => Exit::TryAgain,
            Self::Database { .. } | Self::Store(_) => Exit::Disk,
        }
    }
}

impl HistoryError {
    /// Whether the file itself is damaged.
    pub(crate) fn is_damage(&self) -> bool {
        let Self::Database { cause, .. } = self else { return false };
        matches!(cause.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }

    /// Whether retrying may help: a disk may get room again, a wrong file stays wrong.
    pub(crate) fn is_transient(&self) -> bool {
        self.exit() == Exit::Disk
    }
}

/// Adds to an error of the database what was tried on which file.
pub(super) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, HistoryError>;
}

impl<T> At<T> for rusqlite::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, HistoryError> {
        self.map_err(|cause| HistoryError::Database { action, path: path.to_owned(), cause })
    }
}
