//! The staging folder: fetched boards that are not in the cache yet. Boards enter the cache only through this module.
//!
//! A staged file gets its name once it is complete, but is not synced: one sync covers thousands of boards before the first
//! is moved to its final path. So a crash of the process leaves complete files only, and a crash of the machine may leave a
//! truncated one, which its checksum reveals when the next run opens the folder. Promotion is a series of renames, and can be
//! resumed at any point.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::arrival::{self, Arrival, Comparison, Destination, Shrinking, Shrunk, has_shrunk};
use super::board_encoder::EncodedBoard;
use super::board_file::Damage;
use super::cache::{Buffers, Cache, ReadError, board_of};
use super::lock::WriterLock;
use super::refusal::{Refusal, Refusals};
use super::staging_state::{StagingError, StagingState};
use crate::domain::Combination;
use crate::runtime::fs::{self, At as _, FileId, FsError, NewFile};

/// What an interrupted run left in the staging folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Complete boards, to be promoted.
    pub whole: usize,
    /// Damaged files, with the reason. They were moved to `.damaged/` in the staging folder.
    pub damaged: Vec<String>,
    /// Boards older than the cached ones. They were removed.
    pub outdated: usize,
    /// Files that are not boards of this catalogue. They stay.
    pub foreign: Vec<PathBuf>,
}

/// What a promotion did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// The number of promoted boards.
    pub boards: usize,
    /// Cached boards with entries, kept instead of an empty board.
    pub kept: Vec<Combination>,
}

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
    /// Opens the staging folder and checks what an interrupted run left there, and temporary files in the cache. `known` is
    /// whether a board is in the catalogue. If `stop` is cancelled, the rest is left to the next run.
    ///
    /// # Errors
    /// If a newer program wrote the folder, which is then left alone, or the file system fails.
    pub fn open(
        lock: WriterLock,
        folder: &Path,
        cache: Cache,
        known: impl Fn(Combination) -> bool,
        now: SystemTime,
        stop: &CancellationToken,
    ) -> Result<(Self, Leftovers), StagingError> {
        StagingState::read(folder)?;
        let staging = Self {
            refusals: Refusals::new([cache.folder(), folder]),
            folder: Cache::new(folder),
            cache,
            ready: Mutex::default(),
            gate: RwLock::default(),
            final_paths: RwLock::default(),
            refreshing: AtomicBool::new(false),
            _lock: lock,
        };
        StagingState::remove_unfinished(folder)?;
        staging.tidy()?;
        staging.remove_unfinished()?;
        let mut leftovers = Leftovers::default();
        let mut buffers = Buffers::default();
        for path in staging.track_files(folder)? {
            if stop.is_cancelled() {
                break;
            }
            let name = |path: &Path| path.file_name().and_then(|it| it.to_str()).map(str::to_owned);
            let board = name(fs::parent(&path)).zip(name(&path)).and_then(|(track, file)| board_of(&track, &file));
            let Some(board) = board.filter(|&board| known(board)) else {
                leftovers.foreign.push(path);
                continue;
            };
            let checked = staging.check_leftover(board, path, now, &mut buffers, &mut leftovers);
            staging.refusals.record(board, checked)?;
        }
        leftovers.whole = staging.ready().len();
        Ok((staging, leftovers))
    }

    /// Checks a board that an interrupted run left.
    fn check_leftover(
        &self,
        board: Combination,
        path: PathBuf,
        now: SystemTime,
        buffers: &mut Buffers,
        leftovers: &mut Leftovers,
    ) -> Result<(), FsError> {
        // A time in the future means that a clock was wrong, and does not say which board is newer.
        let cached = fs::modified(&self.cache.board_path(board))?.filter(|cached| *cached <= now);
        if cached > fs::modified(&path)? {
            fs::remove(&path)?;
            leftovers.outdated += 1;
            return Ok(());
        }
        match self.folder.count_entries(board, buffers) {
            Ok(Some(entries)) => {
                self.ready().insert(board, entries);
            }
            Ok(None) => {}
            Err(ReadError::Damaged { .. }) if !path.is_file() => leftovers.foreign.push(path),
            Err(ReadError::Damaged { path, damage, file }) => {
                self.folder.set_aside(board, file)?;
                leftovers.damaged.push(ReadError::Damaged { path, damage, file }.to_string());
            }
            Err(ReadError::Store(error)) => return Err(error),
        }
        Ok(())
    }

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

    /// Moves staged boards into the cache: syncs their contents, then renames them. Adds the result to `done`. A board that
    /// cannot be moved stays for later ([`Staging::refused`]). If `stop` is cancelled, the rest stays too.
    ///
    /// # Errors
    /// If the file system fails for all boards. Those not moved stay in staging for the next run.
    pub fn promote(&self, stop: &CancellationToken, done: &mut Promoted) -> Result<(), FsError> {
        let mut ready = std::mem::take(&mut *self.ready());
        if ready.is_empty() {
            return Ok(());
        }
        let mut later = BTreeMap::new();
        let result = self.promote_all(&mut ready, &mut later, stop, done);
        ready.append(&mut later);
        let mut now_ready = self.ready();
        for (board, drivers) in ready {
            now_ready.entry(board).or_insert(drivers);
        }
        result
    }

    fn promote_all(
        &self,
        ready: &mut BTreeMap<Combination, usize>,
        later: &mut BTreeMap<Combination, usize>,
        stop: &CancellationToken,
        done: &mut Promoted,
    ) -> Result<(), FsError> {
        fs::sync_file_system(self.folder.folder())?;
        self.at_work()?;
        let mut buffers = Buffers::default();
        while let Some((&board, &drivers)) = ready.last_key_value()
            && !stop.is_cancelled()
        {
            let promoted = self.promote_one(board, drivers, &mut buffers);
            match self.refusals.record(board, promoted)? {
                Some(true) => done.boards += 1,
                Some(false) => done.kept.push(board),
                None => drop(later.insert(board, drivers)),
            }
            ready.pop_last();
        }
        fs::sync_file_system(self.cache.folder())
    }

    /// Moves a board into the cache and returns `true`, or removes it if it is empty and the cached one is not.
    fn promote_one(&self, board: Combination, drivers: usize, buffers: &mut Buffers) -> Result<bool, FsError> {
        let from = self.folder.board_path(board);
        if drivers == 0 && self.has_entries(board, buffers)? {
            fs::remove(&from)?;
            return Ok(false);
        }
        let to = self.cache.board_path(board);
        fs::publish_folders(fs::parent(&to))?;
        self.put_in_place(board, &from, &to)?;
        Ok(true)
    }

    /// Removes empty folders, which promotion and killed runs leave behind. Nothing may be staged at the same time. A folder
    /// that cannot be removed does no harm.
    ///
    /// # Errors
    /// If the file system fails for all boards.
    pub fn tidy(&self) -> Result<(), FsError> {
        for folder in fs::list(self.folder.folder())? {
            if folder.is_dir() && !folder.is_symlink() {
                self.refusals.tolerate(fs::remove_empty_folder(&folder))?;
            }
        }
        Ok(())
    }

    /// Whether the cached board has entries. A damaged one is moved aside and has none.
    fn has_entries(&self, board: Combination, buffers: &mut Buffers) -> Result<bool, FsError> {
        match self.cache.count_entries(board, buffers) {
            Ok(entries) => Ok(entries.unwrap_or(0) > 0),
            Err(ReadError::Damaged { damage, file, .. }) => self.set_aside(board, file, &damage).map(|()| false),
            Err(ReadError::Store(error)) => Err(error),
        }
    }

    /// Moves a board to its final path. A folder at that path is moved aside first.
    fn put_in_place(&self, board: Combination, from: &Path, to: &Path) -> Result<(), FsError> {
        match fs::rename(from, to) {
            Err(error) if error.cause.kind() == ErrorKind::IsADirectory => {
                self.set_aside(board, fs::identity(to)?, &error)?;
                fs::rename(from, to)
            }
            result => result,
        }
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

    /// Removes temporary files of killed writers. Nothing else does, since the next run may write other boards, or the same one
    /// elsewhere.
    fn remove_unfinished(&self) -> Result<(), FsError> {
        let unfinished = |path: &PathBuf| path.file_name().is_some_and(|it| fs::is_temporary(&it.to_string_lossy()));
        for folder in [&self.folder, &self.cache] {
            for path in self.track_files(folder.folder())?.iter().filter(|path| unfinished(path)) {
                self.refusals.tolerate(fs::remove(path))?;
            }
        }
        Ok(())
    }

    /// The files in folders named `track_…`.
    fn track_files(&self, folder: &Path) -> Result<Vec<PathBuf>, FsError> {
        let mut files = Vec::new();
        for track in fs::list(folder)? {
            let is_track = track.file_name().is_some_and(|it| it.to_string_lossy().starts_with("track_"));
            if is_track && track.is_dir() && !track.is_symlink() {
                files.extend(self.refusals.tolerate(fs::list(&track))?);
            }
        }
        Ok(files)
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
