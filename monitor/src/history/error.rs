//! Why the history cannot be read or written.

use std::path::{Path, PathBuf};

use r3e_common::runtime::exit::{Exit, Fatal};
use r3e_common::runtime::fs::FsError;
use rusqlite::ErrorCode;

/// Why the history cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    /// A later version of this program has written it.
    #[error(
        "monitor.history = {}: its version is {found}, and this program knows {known}; hint: update r3e-monitor, or \
         name another file", path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest known here.
        known: i64,
    },
    /// An earlier version of this program is writing it, and could not go on if it were brought up to date.
    #[error(
        "monitor.history = {}: a watch of an earlier version keeps it; hint: restart r3e-monitor watch", path.display()
    )]
    KeptByOlder {
        /// The database.
        path: PathBuf,
    },
    /// Another program has written it.
    #[error("monitor.history = {}: this is a database of another program; expected a history or no file", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// The database refused.
    #[error("cannot {action} the history {}: {cause}", path.display())]
    Database {
        /// What was tried, as a verb.
        action: &'static str,
        /// The database.
        path: PathBuf,
        /// What it said.
        cause: rusqlite::Error,
    },
    /// The file system refused.
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
    /// Whether the file itself is damaged, and will be for ever.
    pub(crate) fn is_damage(&self) -> bool {
        let Self::Database { cause, .. } = self else { return false };
        matches!(cause.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }

    /// Whether waiting helps: a full disk gets room again, a wrong file stays what it is.
    pub(crate) fn may_pass(&self) -> bool {
        self.exit() == Exit::Disk
    }
}

/// Turns the database's errors into ones that name what was tried and where.
pub(super) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, HistoryError>;
}

impl<T> At<T> for rusqlite::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, HistoryError> {
        self.map_err(|cause| HistoryError::Database { action, path: path.to_owned(), cause })
    }
}
