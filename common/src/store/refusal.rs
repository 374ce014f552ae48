//! What the file system refuses: whether that is about one board or about all, and which boards are refused so far.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::Combination;
use crate::runtime::fs::{self, Access, FsError, Reach};

/// The file system refused something.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// About one board: its file or its folder. Others can be stored.
    #[error(transparent)]
    Board(FsError),
    /// About all boards.
    #[error(transparent)]
    All(FsError),
}

/// The boards that were refused, and how to tell.
#[derive(Debug)]
pub(super) struct Refusals {
    /// The folders that all boards are in.
    folders: [PathBuf; 2],
    boards: Mutex<BTreeMap<Combination, String>>,
    /// Held while the folders are tried.
    trying: Mutex<()>,
}

impl Refusals {
    pub(super) fn new(folders: [&Path; 2]) -> Self {
        Self { folders: folders.map(Path::to_owned), boards: Mutex::default(), trying: Mutex::default() }
    }

    /// What an error is about: one board, if an error of this kind can be about one path, and files can still be created in
    /// the folders that all boards are in.
    pub(super) fn tell(&self, error: FsError) -> Refusal {
        let folders_work = || {
            let _one_at_a_time = self.trying.lock().unwrap_or_else(PoisonError::into_inner);
            self.folders.iter().all(|folder| fs::can_create_in(folder))
        };
        if error.reach(Access::Write) == Reach::Path && folders_work() {
            Refusal::Board(error)
        } else {
            Refusal::All(error)
        }
    }

    /// Keeps a refusal that is about this board, and forgets an earlier one where there is none.
    pub(super) fn keep<T>(&self, board: Combination, result: Result<T, FsError>) -> Result<Option<T>, FsError> {
        match result.map_err(|error| self.tell(error)) {
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

    /// Leaves something as it is that does no harm, where the refusal is about it alone.
    pub(super) fn leave<T: Default>(&self, result: Result<T, FsError>) -> Result<T, FsError> {
        match result.map_err(|error| self.tell(error)) {
            Ok(done) => Ok(done),
            Err(Refusal::Board(error)) => {
                tracing::warn!(%error, "left as it is");
                Ok(T::default())
            }
            Err(Refusal::All(error)) => Err(error),
        }
    }

    /// The board has been stored.
    pub(super) fn forget(&self, board: Combination) {
        self.lock().remove(&board);
    }

    /// The boards, and why.
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
    fn an_error_of_a_path_is_about_one_board_while_the_folders_work() {
        let temp = tempfile::tempdir().unwrap();
        let refusals = Refusals::new([temp.path(), temp.path()]);
        assert!(matches!(refusals.tell(error(Errno::EPERM)), Refusal::Board(_)));
        assert!(matches!(refusals.tell(error(Errno::EROFS)), Refusal::Board(_)));
        assert!(matches!(refusals.tell(error(Errno::ENOSPC)), Refusal::All(_)));
        assert_eq!(fs::list(temp.path()).unwrap(), Vec::<PathBuf>::new());
        let one_is_missing = Refusals::new([temp.path(), &temp.path().join("missing")]);
        assert!(matches!(one_is_missing.tell(error(Errno::EPERM)), Refusal::All(_)));
    }

    #[test]
    fn a_board_is_refused_until_it_is_stored() {
        let temp = tempfile::tempdir().unwrap();
        let refusals = Refusals::new([temp.path(), temp.path()]);
        let board: Combination = "1-2".parse().unwrap();
        assert_eq!(refusals.keep::<()>(board, Err(error(Errno::EACCES))).unwrap(), None);
        assert!(refusals.boards()[&board].contains("class_2.json.gz: Permission denied"), "{:?}", refusals.boards());
        assert!(refusals.keep::<()>(board, Err(error(Errno::EIO))).is_err());
        assert_eq!(refusals.keep(board, Ok(7)).unwrap(), Some(7));
        assert!(refusals.boards().is_empty());
    }
}
