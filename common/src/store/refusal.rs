//! Failures of the file system: whether they concern one board or all, and which boards are refused so far.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::Combination;
use crate::runtime::fs::{self, Access, FsError, Reach};

/// A failure of the file system.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It concerns one board's file or folder; others can be stored.
    #[error(transparent)]
    Board(FsError),
    /// It concerns all boards.
    #[error(transparent)]
    All(FsError),
}

/// The boards that were refused.
#[derive(Debug)]
pub(super) struct Refusals {
    /// Cache and staging folder.
    folders: [PathBuf; 2],
    boards: Mutex<BTreeMap<Combination, String>>,
    /// Held while the folders are probed.
    probing: Mutex<()>,
}

impl Refusals {
    pub(super) fn new(folders: [&Path; 2]) -> Self {
        Self { folders: folders.map(Path::to_owned), boards: Mutex::default(), probing: Mutex::default() }
    }

    /// Classifies an error. It concerns one board if its kind can be specific to a path, and files can still be created in cache
    /// and staging folder.
    pub(super) fn classify(&self, error: FsError) -> Refusal {
        let folders_work = || {
            let _one_at_a_time = self.probing.lock().unwrap_or_else(PoisonError::into_inner);
            self.folders.iter().all(|folder| fs::can_create_in(folder))
        };
        if error.reach(Access::Write) == Reach::Path && folders_work() {
            Refusal::Board(error)
        } else {
            Refusal::All(error)
        }
    }

    /// Records a failure that concerns this board, or removes the record if there is no failure.
    pub(super) fn record<T>(&self, board: Combination, result: Result<T, FsError>) -> Result<Option<T>, FsError> {
        match result.map_err(|error| self.classify(error)) {
            Ok(done) => {
                self.forget(board);
                Ok(Some(done))
            }
            Err(Refusal::Board(error)) => {
                self.lock().insert(board, error.to_string());
                Ok(None)
            }
            Err(Refusal::All(error)) => Err(error),
        }
    }

    /// Logs and ignores a failure that concerns one harmless file or folder only.
    pub(super) fn tolerate<T: Default>(&self, result: Result<T, FsError>) -> Result<T, FsError> {
        match result.map_err(|error| self.classify(error)) {
            Ok(done) => Ok(done),
            Err(Refusal::Board(error)) => {
                tracing::warn!(%error, "cannot clean up");
                Ok(T::default())
            }
            Err(Refusal::All(error)) => Err(error),
        }
    }

    /// Removes the record of a board that has been stored.
    pub(super) fn forget(&self, board: Combination) {
        self.lock().remove(&board);
    }

    /// The refused boards, and why.
    pub(super) fn boards(&self) -> BTreeMap<Combination, String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Combination, String>> {
        self.boards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    fn error(errno: Errno) -> FsError {
        FsError::new("move to", Path::new("cache/track_1/class_2.json.gz"), errno.into())
    }

    #[test]
    fn an_error_concerns_one_board_while_the_folders_work() {
        let temp = tempfile::tempdir().unwrap();
        let refusals = Refusals::new([temp.path(), temp.path()]);
        assert!(matches!(refusals.classify(error(Errno::EPERM)), Refusal::Board(_)));
        assert!(matches!(refusals.classify(error(Errno::EROFS)), Refusal::Board(_)));
        assert!(matches!(refusals.classify(error(Errno::ENOSPC)), Refusal::All(_)));
        assert_eq!(fs::list(temp.path()).unwrap(), Vec::<PathBuf>::new());
        let one_is_missing = Refusals::new([temp.path(), &temp.path().join("missing")]);
        assert!(matches!(one_is_missing.classify(error(Errno::EPERM)), Refusal::All(_)));
    }

    #[test]
    fn a_board_is_refused_until_it_is_stored() {
        let temp = tempfile::tempdir().unwrap();
        let refusals = Refusals::new([temp.path(), temp.path()]);
        let board: Combination = "1-2".parse().unwrap();
        assert_eq!(refusals.record::<()>(board, Err(error(Errno::EACCES))).unwrap(), None);
        assert!(refusals.boards()[&board].contains("class_2.json.gz: Permission denied"), "{:?}", refusals.boards());
        assert!(refusals.record::<()>(board, Err(error(Errno::EIO))).is_err());
        assert_eq!(refusals.record(board, Ok(7)).unwrap(), Some(7));
        assert!(refusals.boards().is_empty());
    }
}
