//! The staging folder: boards that were fetched and are not yet in the cache, and the one gate into the cache.
//!
//! A staged file appears under its name only when it was written to the end, but is not synced: thousands of boards
//! are brought to the disk by one sync before any of them is moved to its final path. So a crash of the machine may
//! leave a staged file cut short, which the checksum tells when the next run opens the folder; a crash of the
//! process leaves whole files only. Promotion is a series of renames, and can be taken up again at any point.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::arrival::{self, Arrival, Beside, Destination};
use super::board_encoder::EncodedBoard;
use super::cache::{Buffers, Cache, ReadError, board_of};
use super::fs::{self, At as _, FileId, NewFile, StoreError};
use super::lock::WriterLock;
use super::staging_state::{StagingError, StagingState};
use crate::domain::Combination;

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
    ready: Mutex<Vec<(Combination, usize)>>,
    /// Held while a board is taken in, so that nobody moves aside what has just been made whole.
    gate: RwLock<()>,
    /// Whether a full refresh is going on here.
    refreshing: AtomicBool,
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
        remove_unfinished(folder, cache.folder())?;
        let folder = Cache::new(folder);
        let mut leftovers = Leftovers::default();
        let mut ready = Vec::new();
        let mut buffers = Buffers::default();
        for path in track_files(folder.folder())? {
            if stop.is_cancelled() {
                break;
            }
            let name = |path: &Path| path.file_name().and_then(|it| it.to_str()).map(str::to_owned);
            let board = name(fs::parent(&path)).zip(name(&path)).and_then(|(track, file)| board_of(&track, &file));
            let Some(board) = board.filter(|&board| known(board)) else {
                leftovers.foreign.push(path);
                continue;
            };
            // One from the future tells of a clock that was wrong, and not which of the two is newer.
            let cached = fs::modified(&cache.board_path(board))?.filter(|cached| *cached <= now);
            if cached > fs::modified(&path)? {
                fs::remove(&path)?;
                leftovers.outdated += 1;
                continue;
            }
            match folder.count_entries(board, &mut buffers) {
                Ok(Some(entries)) => ready.push((board, entries)),
                Ok(None) => {}
                Err(ReadError::Damaged { .. }) if !path.is_file() => leftovers.foreign.push(path),
                Err(error @ ReadError::Damaged { .. }) => {
                    folder.set_aside(board)?;
                    leftovers.damaged.push(error.to_string());
                }
                Err(ReadError::Store(error)) => return Err(error.into()),
            }
        }
        leftovers.whole = ready.len();
        let (ready, gate, refreshing) = (Mutex::new(ready), RwLock::default(), AtomicBool::new(false));
        Ok((Self { folder, cache, ready, gate, refreshing, _lock: lock }, leftovers))
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
    /// with entries is not replaced by one without.
    ///
    /// # Errors
    /// When the file system refuses; nothing of the board is left then, and the cached one is what it was.
    pub fn accept(&self, board: &EncodedBoard, to: Destination) -> Result<Arrival, StoreError> {
        let _open = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let Beside { same, drivers } = match arrival::beside(&self.cache, board) {
            Ok(beside) => beside,
            Err(ReadError::Store(error)) => return Err(error),
            Err(error @ ReadError::Damaged { .. }) => {
                self.set_aside(board.combination, &error)?;
                Beside::default()
            }
        };
        let empty = board.drivers == 0;
        if empty && drivers {
            // It was asked for: others are older now.
            self.renew(board.combination)?;
            return Ok(Arrival::Kept);
        }
        if same && self.renew(board.combination)? {
            return Ok(if empty { Arrival::Empty } else { Arrival::Unchanged });
        }
        match to {
            Destination::Staging => {
                put(&self.folder, board, NewFile::commit_unsynced)?;
                self.ready().push((board.combination, board.drivers));
            }
            Destination::Cache => put(&self.cache, board, NewFile::commit)?,
        }
        Ok(if empty { Arrival::Empty } else { Arrival::Changed })
    }

    /// Lets a cached board count as fetched now; says `false` where there is none.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn renew(&self, board: Combination) -> Result<bool, StoreError> {
        fs::touch(&self.cache.board_path(board))
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
    pub fn set_full_refresh(&self, since: Option<SystemTime>) -> Result<(), StoreError> {
        self.refreshing.store(since.is_some(), Ordering::Relaxed);
        StagingState::with_full_refresh(since).write(self.folder.folder())
    }

    /// Says on disk that the full refresh that is going on here, if any, is at work now.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn at_work(&self) -> Result<(), StoreError> {
        if self.refreshing.load(Ordering::Relaxed) {
            fs::touch(&StagingState::path(self.folder.folder()))?;
        }
        Ok(())
    }

    /// Moves all boards that are ready into the cache: first their bytes to the disk, then the names. What it did is added
    /// to `done`. When `stop` is cancelled, the rest stays ready.
    ///
    /// # Errors
    /// When the file system refuses; what was not moved stays ready, and in staging for the next run.
    pub fn promote(&self, stop: &CancellationToken, done: &mut Promoted) -> Result<(), StoreError> {
        let mut ready = std::mem::take(&mut *self.ready());
        if ready.is_empty() {
            return Ok(());
        }
        let result = self.promote_all(&mut ready, stop, done);
        self.ready().append(&mut ready);
        result
    }

    fn promote_all(
        &self,
        ready: &mut Vec<(Combination, usize)>,
        stop: &CancellationToken,
        done: &mut Promoted,
    ) -> Result<(), StoreError> {
        fs::sync_file_system(self.folder.folder())?;
        self.at_work()?;
        let mut buffers = Buffers::default();
        while let Some(&(board, drivers)) = ready.last()
            && !stop.is_cancelled()
        {
            let from = self.folder.board_path(board);
            if drivers == 0 && self.has_entries(board, &mut buffers)? {
                fs::remove(&from)?;
                done.kept.push(board);
            } else {
                let to = self.cache.board_path(board);
                fs::create_folders(fs::parent(&to))?;
                self.put_in_place(board, &from, &to)?;
                done.boards += 1;
            }
            ready.pop();
        }
        fs::sync_file_system(self.cache.folder())
    }

    /// Removes the empty folders, as promotion leaves them. For the end of a run: nothing may be staged meanwhile.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn tidy(&self) -> Result<(), StoreError> {
        for folder in fs::list(self.folder.folder())? {
            if folder.is_dir() && !folder.is_symlink() {
                fs::remove_empty_folder(&folder)?;
            }
        }
        Ok(())
    }

    /// Whether the cached board has entries; a damaged one is moved aside, and has none.
    fn has_entries(&self, board: Combination, buffers: &mut Buffers) -> Result<bool, StoreError> {
        match self.cache.count_entries(board, buffers) {
            Ok(entries) => Ok(entries.unwrap_or(0) > 0),
            Err(error @ ReadError::Damaged { .. }) => self.set_aside(board, &error).map(|()| false),
            Err(ReadError::Store(error)) => Err(error),
        }
    }

    /// Moves a board to its final path; a folder that stands there is moved aside first, as whatever is no board.
    fn put_in_place(&self, board: Combination, from: &Path, to: &Path) -> Result<(), StoreError> {
        match fs::rename(from, to) {
            Err(error) if error.cause.kind() == ErrorKind::IsADirectory => {
                self.set_aside(board, &error)?;
                fs::rename(from, to)
            }
            result => result,
        }
    }

    /// Moves the file of a cached board aside that was found damaged, if it is still the one that stands there. Tells where
    /// it is now.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn set_aside_file(&self, board: Combination, file: Option<FileId>) -> Result<Option<PathBuf>, StoreError> {
        let _shut = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() || fs::identity(&self.cache.board_path(board))? != file {
            return Ok(None);
        }
        self.cache.set_aside(board).map(Some)
    }

    fn set_aside(&self, board: Combination, why: &dyn std::fmt::Display) -> Result<(), StoreError> {
        let aside = self.cache.set_aside(board)?;
        tracing::warn!(%board, %why, aside = %aside.display(), "a damaged board was moved aside");
        Ok(())
    }

    fn ready(&self) -> std::sync::MutexGuard<'_, Vec<(Combination, usize)>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a board's file into a folder of boards.
fn put(
    folder: &Cache,
    board: &EncodedBoard,
    commit: impl FnOnce(NewFile) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let path = folder.board_path(board.combination);
    fs::create_folders(fs::parent(&path))?;
    let mut file = NewFile::create(&path)?;
    file.write_all(&board.bytes).at("write", &path)?;
    commit(file)
}

/// Removes what killed writers had not finished. Of boards nothing else does: in staging the next run may write other
/// boards, and one that was to be written through may be staged the next time.
fn remove_unfinished(staging: &Path, cache: &Path) -> Result<(), StoreError> {
    StagingState::remove_unfinished(staging)?;
    let unfinished = |path: &PathBuf| path.file_name().is_some_and(|it| fs::is_temporary(&it.to_string_lossy()));
    for folder in [staging, cache] {
        track_files(folder)?.iter().filter(|path| unfinished(path)).try_for_each(|path| fs::remove(path))?;
    }
    Ok(())
}

/// The files inside the folders named `track_…`.
fn track_files(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut files = Vec::new();
    for track in fs::list(folder)? {
        let named_so = track.file_name().is_some_and(|it| it.to_string_lossy().starts_with("track_"));
        if named_so && track.is_dir() && !track.is_symlink() {
            files.extend(fs::list(&track)?);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{BoardEncoder, Holder, Validators};
    use serde_json::value::RawValue;

    struct Folders(tempfile::TempDir);

    impl Folders {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn open(&self) -> (Staging, Leftovers) {
            self.open_at(SystemTime::now())
        }

        fn open_at(&self, now: SystemTime) -> (Staging, Leftovers) {
            let (cache, staging) = (self.0.path().join("cache"), self.0.path().join("cache_temp"));
            let holder = Holder { program: "test".into(), pid: 1, since: String::new(), doing: String::new() };
            let lock = WriterLock::acquire(&cache, &staging, &holder).unwrap();
            let known = |board: Combination| board.track.get() < 10;
            Staging::open(lock, &staging, Cache::new(&cache), known, now, &CancellationToken::new()).unwrap()
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn put(&self, name: &str, bytes: &[u8]) {
            let path = self.path(name);
            fs::create_folders(fs::parent(&path)).unwrap();
            let mut file = NewFile::create(&path).unwrap();
            file.write_all(bytes).unwrap();
            file.commit().unwrap();
        }
    }

    fn board(name: &str, entries: usize) -> EncodedBoard {
        let mut encoder = BoardEncoder::new(name.parse().unwrap(), "N", &Validators::default());
        for _ in 0..entries {
            assert!(encoder.push(&RawValue::from_string(r#"{"driver":{"name":"x"}}"#.into()).unwrap()));
        }
        encoder.finish("t")
    }

    fn stage(staging: &Staging, board: &EncodedBoard) -> Arrival {
        staging.accept(board, Destination::Staging).unwrap()
    }

    fn promote(staging: &Staging) -> Promoted {
        let mut done = Promoted::default();
        staging.promote(&CancellationToken::new(), &mut done).unwrap();
        done
    }

    fn cached(staging: &Staging, name: &str) -> Option<usize> {
        staging.cache().count_entries(name.parse().unwrap(), &mut Buffers::default()).unwrap()
    }

    #[test]
    fn boards_reach_the_cache_by_promotion_only() {
        let folders = Folders::new();
        let (staging, _) = folders.open();
        stage(&staging, &board("1-1", 2));
        stage(&staging, &board("1-2", 0));
        assert_eq!(cached(&staging, "1-1"), None);
        assert_eq!(promote(&staging), Promoted { boards: 2, kept: vec![] });
        assert_eq!((cached(&staging, "1-1"), cached(&staging, "1-2")), (Some(2), Some(0)));
        assert_eq!(promote(&staging), Promoted::default());
        staging.tidy().unwrap();
        assert!(!folders.path("cache_temp/track_1").exists());
    }

    #[test]
    fn an_empty_answer_never_replaces_entries() {
        let folders = Folders::new();
        let (staging, _) = folders.open();
        stage(&staging, &board("1-1", 2));
        promote(&staging);
        assert_eq!(stage(&staging, &board("1-1", 0)), Arrival::Kept);
        assert_eq!(promote(&staging), Promoted::default());
        assert_eq!(cached(&staging, "1-1"), Some(2));
        assert!(!folders.path("cache_temp/track_1/class_1.json.gz").exists());
    }

    #[test]
    fn what_an_interrupted_run_left_is_checked_and_promoted() {
        let folders = Folders::new();
        let (staging, _) = folders.open();
        stage(&staging, &board("1-1", 2));
        drop(staging);
        let whole = board("1-2", 1).bytes;
        folders.put("cache_temp/track_1/class_2.json.gz", &whole[..whole.len() - 1]);
        folders.put("cache_temp/track_1/class_3.json.gz", &whole);
        folders.put("cache_temp/track_1/.class_4.json.gz.tmp", b"half");
        folders.put("cache_temp/track_1/notes.txt", b"mine");
        folders.put("cache_temp/track_77/class_2.json.gz", &whole);
        for unfinished in ["cache/track_2/.class_1.json.gz.tmp", "cache_temp/..staging.json.tmp"] {
            folders.put(unfinished, b"half");
        }
        // Beside the boards everyone may write, and these are no concern of ours.
        folders.put("cache/.status.json.tmp", b"half");
        let (staging, leftovers) = folders.open();
        assert_eq!(leftovers.whole, 1);
        assert_eq!(leftovers.damaged.len(), 2, "{leftovers:?}");
        let foreign = ["cache_temp/track_1/notes.txt", "cache_temp/track_77/class_2.json.gz"];
        assert_eq!(leftovers.foreign, foreign.map(|it| folders.path(it)));
        assert_eq!(promote(&staging).boards, 1);
        assert_eq!((cached(&staging, "1-1"), cached(&staging, "1-2")), (Some(2), None));
        assert!(folders.path("cache_temp/.damaged/track_1/class_2.json.gz").exists());
        for gone in ["cache_temp/track_1/.class_4.json.gz.tmp", "cache/track_2/.class_1.json.gz.tmp"] {
            assert!(!folders.path(gone).exists(), "{gone}");
        }
        assert!(!folders.path("cache_temp/..staging.json.tmp").exists());
        assert!(folders.path("cache/.status.json.tmp").exists());
    }

    #[test]
    fn a_damaged_cached_board_makes_room_for_an_empty_one_and_is_kept_aside() {
        let folders = Folders::new();
        folders.put("cache/track_1/class_1.json.gz", b"garbage");
        let (staging, _) = folders.open();
        stage(&staging, &board("1-1", 0));
        assert_eq!(promote(&staging).boards, 1);
        assert_eq!(cached(&staging, "1-1"), Some(0));
        assert!(folders.path("cache/.damaged/track_1/class_1.json.gz").exists());
    }

    #[test]
    fn what_a_promotion_could_not_move_is_moved_by_the_next() {
        let folders = Folders::new();
        let (staging, _) = folders.open();
        for name in ["1-1", "2-1", "3-1"] {
            stage(&staging, &board(name, 1));
        }
        folders.put("cache/track_2", b"in the way");
        let mut done = Promoted::default();
        let error = staging.promote(&CancellationToken::new(), &mut done).unwrap_err();
        assert!(error.to_string().contains("track_2"), "{error}");
        fs::remove(&folders.path("cache/track_2")).unwrap();
        staging.promote(&CancellationToken::new(), &mut done).unwrap();
        assert_eq!(done.boards, 3);
        assert_eq!(["1-1", "2-1", "3-1"].map(|name| cached(&staging, name)), [Some(1); 3]);
    }

    #[test]
    fn entries_without_a_driver_do_not_replace_entries() {
        let folders = Folders::new();
        let (staging, _) = folders.open();
        stage(&staging, &board("1-1", 2));
        promote(&staging);
        let mut nameless = BoardEncoder::new("1-1".parse().unwrap(), "N", &Validators::default());
        assert!(nameless.push(&RawValue::from_string(r#"{"error":"database"}"#.into()).unwrap()));
        assert_eq!(stage(&staging, &nameless.finish("t")), Arrival::Kept);
        assert_eq!(promote(&staging), Promoted::default());
        assert_eq!(cached(&staging, "1-1"), Some(2));
    }

    #[test]
    fn a_leftover_older_than_the_cached_board_is_not_promoted() {
        let folders = Folders::new();
        folders.put("cache_temp/track_1/class_1.json.gz", &board("1-1", 1).bytes);
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        let staged = std::fs::File::options().write(true).open(folders.path("cache_temp/track_1/class_1.json.gz"));
        staged.unwrap().set_modified(long_ago).unwrap();
        folders.put("cache/track_1/class_1.json.gz", &board("1-1", 2).bytes);
        // By a clock that says that the cached board is from the future, nobody knows which is newer.
        let (staging, leftovers) = folders.open_at(long_ago);
        assert_eq!((leftovers.whole, leftovers.outdated), (1, 0));
        drop(staging);
        let (staging, leftovers) = folders.open();
        assert_eq!((leftovers.whole, leftovers.outdated), (0, 1));
        assert_eq!(promote(&staging), Promoted::default());
        assert_eq!(cached(&staging, "1-1"), Some(2));
    }

    #[test]
    fn a_file_is_moved_aside_only_while_it_is_the_one_that_was_meant() {
        let folders = Folders::new();
        let path = folders.path("cache/track_1/class_1.json.gz");
        folders.put("cache/track_1/class_1.json.gz", b"garbage");
        let damaged = fs::identity(&path).unwrap();
        let (staging, _) = folders.open();
        let one = "1-1".parse().unwrap();
        staging.accept(&board("1-1", 2), Destination::Cache).unwrap();
        assert_eq!(staging.set_aside_file(one, damaged).unwrap(), None);
        assert_eq!(cached(&staging, "1-1"), Some(2));
        let aside = staging.set_aside_file(one, fs::identity(&path).unwrap()).unwrap().unwrap();
        assert_eq!(std::fs::read(aside).unwrap(), board("1-1", 2).bytes);
        for nothing in [damaged, None] {
            assert_eq!(staging.set_aside_file(one, nothing).unwrap(), None);
        }
    }

    #[test]
    fn a_folder_in_the_place_of_a_board_is_moved_aside_by_promotion() {
        let folders = Folders::new();
        for times in 1..=2 {
            let (staging, _) = folders.open();
            std::fs::create_dir_all(folders.path("cache/track_1/class_1.json.gz/inside")).unwrap();
            put(&staging.folder, &board("1-1", times), NewFile::commit).unwrap();
            drop(staging);
            let (staging, leftovers) = folders.open();
            assert_eq!(leftovers.whole, 1);
            assert_eq!(promote(&staging).boards, 1);
            assert_eq!(cached(&staging, "1-1"), Some(times));
            std::fs::remove_file(folders.path("cache/track_1/class_1.json.gz")).unwrap();
        }
        let aside = |name: &str| folders.path(&format!("cache/.damaged/track_1/{name}/inside")).is_dir();
        assert!(aside("class_1.json.gz") && aside("class_1.json.gz.1"));
    }

    #[test]
    fn a_board_that_is_kept_counts_as_asked_for_now() {
        let folders = Folders::new();
        let (staging, _) = folders.open();
        staging.accept(&board("1-1", 2), Destination::Cache).unwrap();
        let path = folders.path("cache/track_1/class_1.json.gz");
        let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(staging.accept(&board("1-1", 0), Destination::Cache).unwrap(), Arrival::Kept);
        assert!(fs::modified(&path).unwrap().unwrap() > long_ago);
        assert_eq!(cached(&staging, "1-1"), Some(2));
    }
}
