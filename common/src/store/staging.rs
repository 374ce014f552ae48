//! The staging folder: boards that were fetched and are not yet in the cache, and the one gate into the cache.
//!
//! A staged file appears under its name only when it was written to the end, but is not synced: thousands of boards
//! are brought to the disk by one sync before any of them is moved to its final path. So a crash of the machine may
//! leave a staged file cut short, which the checksum tells when the next run opens the folder; a crash of the
//! process leaves whole files only. Promotion is a series of renames, and can be taken up again at any point.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::arrival::{self, Arrival, Beside, Destination, Shrinking, Shrunk, has_shrunk};
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
    /// Boards that were whole, and are promoted with the next promotion.
    pub whole: usize,
    /// Files that were not, and were moved to `.damaged/` in the staging folder, with the reason.
    pub damaged: Vec<String>,
    /// Boards that are older than those in the cache by now; they were removed.
    pub outdated: usize,
    /// Files that are no boards of this catalogue; they stay.
    pub foreign: Vec<PathBuf>,
}

/// What a promotion did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// How many boards are now in the cache.
    pub boards: usize,
    /// Boards with entries that an empty answer did not replace.
    pub kept: Vec<Combination>,
}

/// The staging folder of a cache. Whoever has it holds the writer's lock.
#[derive(Debug)]
pub struct Staging {
    folder: Cache,
    cache: Cache,
    /// Boards that can be promoted, with their number of entries that have a driver.
    ready: Mutex<BTreeMap<Combination, usize>>,
    /// Held while a board is taken in, so that nobody moves aside what has just been made whole.
    gate: RwLock<()>,
    /// Held while a board goes to its final path, so that an export of several passes sees one cache.
    final_paths: RwLock<()>,
    /// Whether a full refresh is going on here.
    refreshing: AtomicBool,
    refusals: Refusals,
    _lock: WriterLock,
}

/// A full refresh that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullRefresh {
    /// When it began.
    pub since: SystemTime,
    /// When it was last known to be at work.
    pub at_work: SystemTime,
}

impl Staging {
    /// Opens the staging folder and checks what an interrupted run left there and, unfinished, in the cache; `known` tells
    /// the catalogue's boards. When `stop` is cancelled, what was not looked at is left to the next run.
    ///
    /// # Errors
    /// When a newer program has written it, and then nothing is touched; or the file system refuses.
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
            staging.refusals.keep(board, checked)?;
        }
        leftovers.whole = staging.ready().len();
        Ok((staging, leftovers))
    }

    /// Looks at a board that an interrupted run left.
    fn check_leftover(
        &self,
        board: Combination,
        path: PathBuf,
        now: SystemTime,
        buffers: &mut Buffers,
        leftovers: &mut Leftovers,
    ) -> Result<(), FsError> {
        // One from the future tells of a clock that was wrong, and not which of the two is newer.
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

    /// Takes a fetched board in: where it says something new it is written, else the cached one's age is renewed. A board
    /// with entries is not replaced by one without, nor, where `shrinking` is refused, by one that is much smaller.
    ///
    /// # Errors
    /// When the file system refuses; nothing of the board is left then, and the cached one is what it was.
    pub fn accept(
        &self,
        board: &EncodedBoard,
        to: Destination,
        shrinking: Shrinking,
    ) -> Result<Result<Arrival, Shrunk>, Refusal> {
        let free = || self.final_paths.read().unwrap_or_else(PoisonError::into_inner);
        let _final_path = (to == Destination::Cache).then(free);
        let _open = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let arrival = self.take_in(board, to, shrinking).map_err(|error| self.refusals.tell(error))?;
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
        let Beside { same, drivers, entries: cached } = match arrival::beside(&self.cache, board) {
            Ok(beside) => beside,
            Err(ReadError::Store(error)) => return Err(error),
            // It may have entries that only its owner can read: without any to replace them it stays.
            Err(ReadError::Damaged { path, damage: Damage::Unreadable(cause), .. }) if board.drivers == 0 => {
                return Err(FsError::new("read", &path, cause));
            }
            Err(ReadError::Damaged { damage, file, .. }) => {
                self.set_aside(board.combination, file, &damage)?;
                Beside::default()
            }
        };
        let renew = || fs::renew(&self.cache.board_path(board.combination));
        let empty = board.drivers == 0;
        if empty && drivers {
            // It was asked for: others are older now.
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

    /// Keeps boards that go to their final paths waiting until the guard is dropped. Boards that are staged, and boards that have not
    /// changed, do not wait.
    pub fn hold_final_paths(&self) -> RwLockWriteGuard<'_, ()> {
        self.final_paths.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a cached board count as fetched now; says `false` where there is none.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn renew(&self, board: Combination) -> Result<bool, Refusal> {
        let _open = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        fs::renew(&self.cache.board_path(board)).map_err(|error| self.refusals.tell(error))
    }

    /// The full refresh that is not over; none where none is.
    ///
    /// # Errors
    /// When a newer program has written the folder meanwhile, or the file system refuses.
    pub fn full_refresh(&self) -> Result<Option<FullRefresh>, StagingError> {
        let state = StagingState::read(self.folder.folder())?;
        let at_work = fs::modified(&StagingState::path(self.folder.folder()))?;
        Ok(state.full_refresh_since().zip(at_work).map(|(since, at_work)| FullRefresh { since, at_work }))
    }

    /// Says on disk that a full refresh that began then is going on, or with none that it is over.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn set_full_refresh(&self, since: Option<SystemTime>) -> Result<(), FsError> {
        self.refreshing.store(since.is_some(), Ordering::Relaxed);
        StagingState::with_full_refresh(since).write(self.folder.folder())
    }

    /// Says on disk that the full refresh that is going on here, if any, is at work now.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn at_work(&self) -> Result<(), FsError> {
        if self.refreshing.load(Ordering::Relaxed) {
            fs::renew(&StagingState::path(self.folder.folder()))?;
        }
        Ok(())
    }

    /// Moves all boards that are ready into the cache: first their bytes to the disk, then the names. What it did is added
    /// to `done`. A board that the file system refuses is left for later ([`Staging::refused`]). When `stop` is cancelled, the
    /// rest stays ready.
    ///
    /// # Errors
    /// When the file system refuses all of them; what was not moved stays ready, and in staging for the next run.
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
            match self.refusals.keep(board, promoted)? {
                Some(true) => done.boards += 1,
                Some(false) => done.kept.push(board),
                None => drop(later.insert(board, drivers)),
            }
            ready.pop_last();
        }
        fs::sync_file_system(self.cache.folder())
    }

    /// Moves a board into the cache, or removes it where it is empty and the cached one is not; says whether it was moved.
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

    /// Removes the empty folders, as promotion and killed runs leave them. Nothing may be staged meanwhile. One that cannot be
    /// removed does no harm.
    ///
    /// # Errors
    /// When the file system refuses more than that.
    pub fn tidy(&self) -> Result<(), FsError> {
        for folder in fs::list(self.folder.folder())? {
            if folder.is_dir() && !folder.is_symlink() {
                self.refusals.leave(fs::remove_empty_folder(&folder))?;
            }
        }
        Ok(())
    }

    /// Whether the cached board has entries; a damaged one is moved aside, and has none.
    fn has_entries(&self, board: Combination, buffers: &mut Buffers) -> Result<bool, FsError> {
        match self.cache.count_entries(board, buffers) {
            Ok(entries) => Ok(entries.unwrap_or(0) > 0),
            Err(ReadError::Damaged { damage, file, .. }) => self.set_aside(board, file, &damage).map(|()| false),
            Err(ReadError::Store(error)) => Err(error),
        }
    }

    /// Moves a board to its final path; a folder that stands there is moved aside first, as whatever is no board.
    fn put_in_place(&self, board: Combination, from: &Path, to: &Path) -> Result<(), FsError> {
        match fs::rename(from, to) {
            Err(error) if error.cause.kind() == ErrorKind::IsADirectory => {
                self.set_aside(board, fs::identity(to)?, &error)?;
                fs::rename(from, to)
            }
            result => result,
        }
    }

    /// Moves the file of a cached board aside that was found damaged, if it is still the one that stands there. Tells where
    /// it is now. A refusal that is about this board is kept ([`Staging::refused`]), and nothing is moved.
    ///
    /// # Errors
    /// When the file system refuses more than that.
    pub fn set_aside_file(&self, board: Combination, file: Option<FileId>) -> Result<Option<PathBuf>, FsError> {
        let _shut = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let aside = self.cache.set_aside(board, file);
        self.refusals.keep(board, aside).map(Option::flatten)
    }

    fn set_aside(&self, board: Combination, file: Option<FileId>, why: &dyn std::fmt::Display) -> Result<(), FsError> {
        if let Some(aside) = self.cache.set_aside(board, file)? {
            tracing::warn!(%board, %why, aside = %aside.display(), "a damaged board was moved aside");
        }
        Ok(())
    }

    /// Boards that could not be promoted, or moved aside where they are damaged, and why.
    #[must_use]
    pub fn refused(&self) -> BTreeMap<Combination, String> {
        self.refusals.boards()
    }

    /// Removes what killed writers had not finished. Of boards nothing else does: in staging the next run may write other
    /// boards, and one that was to be written through may be staged the next time.
    fn remove_unfinished(&self) -> Result<(), FsError> {
        let unfinished = |path: &PathBuf| path.file_name().is_some_and(|it| fs::is_temporary(&it.to_string_lossy()));
        for folder in [&self.folder, &self.cache] {
            for path in self.track_files(folder.folder())?.iter().filter(|path| unfinished(path)) {
                self.refusals.leave(fs::remove(path))?;
            }
        }
        Ok(())
    }

    /// The files inside the folders named `track_…`.
    fn track_files(&self, folder: &Path) -> Result<Vec<PathBuf>, FsError> {
        let mut files = Vec::new();
        for track in fs::list(folder)? {
            let named_so = track.file_name().is_some_and(|it| it.to_string_lossy().starts_with("track_"));
            if named_so && track.is_dir() && !track.is_symlink() {
                files.extend(self.refusals.leave(fs::list(&track))?);
            }
        }
        Ok(files)
    }

    fn ready(&self) -> std::sync::MutexGuard<'_, BTreeMap<Combination, usize>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a board's file into a folder of boards.
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
