//! Opens the staging folder, and checks what an interrupted run left there.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, RwLock};
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::Staging;
use crate::domain::Combination;
use crate::runtime::fs::{self, FsError};
use crate::store::cache::{Buffers, Cache, ReadError, board_of};
use crate::store::lock::WriterLock;
use crate::store::refusal::Refusals;
use crate::store::staging_state::{StagingError, StagingState};

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
}
