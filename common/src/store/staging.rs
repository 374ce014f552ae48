//! The staging folder: fetched boards that are not in the cache yet. Boards enter the cache only through this module.
//!
//! A staged file gets its name once it is complete, but is not synced: one sync covers thousands of boards before the first
//! is moved to its final path. So a crash of the process leaves complete files only, and a crash of the machine may leave a
//! truncated one. The next run checks checksums when it opens the folder, and finds it. Promotion is a series of renames, and can be
//! resumed at any point.

mod leftovers;
mod promotion;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::time::SystemTime;

use super::arrival::{self, Arrival, Comparison, Destination, Shrinking, Shrunk, has_shrunk};
use super::board_encoder::EncodedBoard;
use super::board_file::Damage;
use super::cache::{Cache, ReadError};
use super::lock::WriterLock;
use super::refusal::{Refusal, Refusals};
use super::staging_state::{StagingError, StagingState};
use crate::domain::Combination;
use crate::runtime::fs::{self, At as _, FileId, FsError, NewFile};

pub use leftovers::Leftovers;
pub use promotion::Promoted;

/// The staging folder of a cache. It holds the writer's lock.
#[derive(Debug)]
pub struct Staging {
    folder: Cache,
    cache: Cache,
    /// Boards to promote, with their number of entries that have a driver.
    ready: Mutex<BTreeMap<Combination, usize>>,
    /// Read-locked while a board is accepted, so that no one moves a repaired file aside.
    gate: RwLock<()>,
    /// Read-locked while a board goes to its final path, so that all passes of an export see the same cache.
    final_paths: RwLock<()>,
    /// Whether this run is a full refresh.
    refreshing: AtomicBool,
    refusals: Refusals,
    _lock: WriterLock,
}

/// An unfinished full refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullRefresh {
    /// When it began.
    pub since: SystemTime,
    /// When it last made progress.
    pub at_work: SystemTime,
}

impl Staging {
    /// The cache that boards are promoted to.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The staging folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.folder()
    }

    /// Accepts a fetched board: writes it if it changed, else renews the time of the cached one. An empty board never replaces
    /// entries, nor does a much smaller one unless `shrinking` allows it.
    ///
    /// # Errors
    /// If the file system fails. Then nothing is left of the board, and the cached one is unchanged.
    pub fn accept(
        &self,
        board: &EncodedBoard,
        to: Destination,
        shrinking: Shrinking,
    ) -> Result<Result<Arrival, Shrunk>, Refusal> {
        let free = || self.final_paths.read().unwrap_or_else(PoisonError::into_inner);
        let _final_path = (to == Destination::Cache).then(free);
        let _open = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let arrival = self.take_in(board, to, shrinking).map_err(|error| self.refusals.classify(error))?;
        if to == Destination::Cache {
            self.refusals.forget(board.combination);
        }
        Ok(arrival)
    }

    fn take_in(
        &self,
        board: &EncodedBoard,
        to: Destination,
        shrinking: Shrinking,
    ) -> Result<Result<Arrival, Shrunk>, FsError> {
        let Comparison { same, drivers, entries: cached } = match arrival::compare(&self.cache, board) {
            Ok(comparison) => comparison,
            Err(ReadError::Store(error)) => return Err(error),
            // It may have entries that only its owner can read, so an empty board does not replace it.
            Err(ReadError::Damaged { path, damage: Damage::Unreadable(cause), .. }) if board.drivers == 0 => {
                return Err(FsError::new("read", &path, cause));
            }
            Err(ReadError::Damaged { damage, file, .. }) => {
                self.set_aside(board.combination, file, &damage)?;
                Comparison::default()
            }
        };
        let renew = || fs::renew(&self.cache.board_path(board.combination));
        let empty = board.drivers == 0;
        if empty && drivers {
            // It counts as fetched, so that other boards are due before it.
            renew()?;
            return Ok(Ok(Arrival::Kept));
        }
        if same && renew()? {
            return Ok(Ok(if empty { Arrival::Empty } else { Arrival::Unchanged }));
        }
        if shrinking == Shrinking::Refused && has_shrunk(cached, board.entries) {
            return Ok(Err(Shrunk { cached }));
        }
        match to {
            Destination::Staging => {
                put(&self.folder, board, NewFile::commit_unsynced)?;
                self.ready().insert(board.combination, board.drivers);
            }
            Destination::Cache => put(&self.cache, board, NewFile::commit)?,
        }
        Ok(Ok(if empty { Arrival::Empty } else { Arrival::Changed }))
    }

    /// Blocks boards that go to their final paths until the guard is dropped. Staged and unchanged boards do not wait.
    pub fn hold_final_paths(&self) -> RwLockWriteGuard<'_, ()> {
        self.final_paths.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews the time of a cached board, as if it were fetched now. Returns `false` if there is none.
    ///
    /// # Errors
    /// If the file system fails.
    pub fn renew(&self, board: Combination) -> Result<bool, Refusal> {
        let _open = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        fs::renew(&self.cache.board_path(board)).map_err(|error| self.refusals.classify(error))
    }

    /// The unfinished full refresh, if any.
    ///
    /// # Errors
    /// If a newer program wrote the folder in the meantime, or the file system fails.
    pub fn full_refresh(&self) -> Result<Option<FullRefresh>, StagingError> {
        let state = StagingState::read(self.folder.folder())?;
        let at_work = fs::modified(&StagingState::path(self.folder.folder()))?;
        Ok(state.full_refresh_since().zip(at_work).map(|(since, at_work)| FullRefresh { since, at_work }))
    }

    /// Records on disk when the full refresh of this run began; `None` means that it is finished.
    ///
    /// # Errors
    /// If the file system fails.
    pub fn set_full_refresh(&self, since: Option<SystemTime>) -> Result<(), FsError> {
        self.refreshing.store(since.is_some(), Ordering::Relaxed);
        StagingState::with_full_refresh(since).write(self.folder.folder())
    }

    /// Records on disk that the full refresh of this run, if any, makes progress.
    ///
    /// # Errors
    /// If the file system fails.
    pub fn at_work(&self) -> Result<(), FsError> {
        if self.refreshing.load(Ordering::Relaxed) {
            fs::renew(&StagingState::path(self.folder.folder()))?;
        }
        Ok(())
    }

    /// Moves the damaged file of a cached board aside, unless another file has replaced it. Returns its new path. A failure
    /// that concerns this board only is recorded ([`Staging::refused`]).
    ///
    /// # Errors
    /// If the file system fails for all boards.
    pub fn set_aside_file(&self, board: Combination, file: Option<FileId>) -> Result<Option<PathBuf>, FsError> {
        let _shut = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let aside = self.cache.set_aside(board, file);
        self.refusals.record(board, aside).map(Option::flatten)
    }

    fn set_aside(&self, board: Combination, file: Option<FileId>, why: &dyn std::fmt::Display) -> Result<(), FsError> {
        if let Some(aside) = self.cache.set_aside(board, file)? {
            tracing::warn!(%board, %why, aside = %aside.display(), "a damaged board was moved aside");
        }
        Ok(())
    }

    /// Boards that could not be promoted or moved aside, and why.
    #[must_use]
    pub fn refused(&self) -> BTreeMap<Combination, String> {
        self.refusals.boards()
    }

    fn ready(&self) -> std::sync::MutexGuard<'_, BTreeMap<Combination, usize>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a board into a folder of boards.
fn put(
    folder: &Cache,
    board: &EncodedBoard,
    commit: impl FnOnce(NewFile) -> Result<(), FsError>,
) -> Result<(), FsError> {
    let path = folder.board_path(board.combination);
    fs::publish_folders(fs::parent(&path))?;
    let mut file = NewFile::publish(&path)?;
    file.write_all(&board.bytes).at("write", &path)?;
    commit(file)
}
