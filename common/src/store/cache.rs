//! The cache: board files at their final paths, where front ends read them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::board_file::{self, BoardHead, Damage, Entries, MAX_BOARD_BYTES};
use super::board_version;
use crate::domain::Validators;
use crate::domain::{Combination, Element};
use crate::runtime::fs::{self, Access, FileId, FsError, Opened, Reach};

/// The folder in the cache for damaged files.
pub(super) const DAMAGED: &str = ".damaged";

/// Why a cached board could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file exists, but is not a valid board.
    #[error("{} is damaged: {damage}", path.display())]
    Damaged {
        /// The board's file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
        /// The file that was read, since another may replace it. `None` if it cannot be examined.
        file: Option<FileId>,
    },
    /// The file system refused.
    #[error(transparent)]
    Store(#[from] FsError),
}

/// Reusable buffers for reading boards.
#[derive(Debug, Default)]
pub struct Buffers {
    compressed: Vec<u8>,
    text: Vec<u8>,
}

impl Buffers {
    /// Frees what is needed to hold a file of this length within `limit` bytes. Returns whether it fits.
    fn make_room_for_file(&mut self, bytes: u64, limit: usize) -> bool {
        let needed = usize::try_from(bytes).unwrap_or(usize::MAX).min(MAX_BOARD_BYTES) + 1;
        if self.compressed.capacity() > limit {
            self.compressed = Vec::new();
        }
        if self.compressed.capacity().max(needed) + self.text.capacity() > limit {
            self.text = Vec::new();
        }
        needed <= limit
    }

    /// The same for the text of the file that was read.
    fn make_room_for_text(&mut self, limit: usize) -> bool {
        let needed = board_file::declared_bytes(&self.compressed) + 1;
        if self.compressed.capacity() + self.text.capacity().max(needed) > limit {
            self.text = Vec::new();
            self.compressed.shrink_to_fit();
        }
        self.compressed.capacity() + needed <= limit
    }
}

/// The result of reading a board within a memory limit.
#[derive(Debug)]
pub enum Within<'b> {
    /// There is no such board.
    Nothing,
    /// It is too large; no entry was passed on.
    TooLarge,
    /// It was read.
    Board {
        /// What the file contains besides the entries.
        head: BoardHead<'b>,
        /// When it was written.
        written: SystemTime,
        /// The gzip trailer, which identifies the text: its checksum and length.
        trailer: [u8; 8],
    },
}

/// A folder of boards: `track_{track}/class_{class}.json.gz`. The cache and the staging folder both have this shape.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in a folder, which need not exist.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a board's file.
    #[must_use]
    pub fn board_path(&self, board: Combination) -> PathBuf {
        self.folder.join(board_name(board))
    }

    /// Reads a board, if it exists, and passes its entries on. Returns its head and when it was written.
    ///
    /// # Errors
    /// If the file is damaged, or the file system fails. Some entries may have been passed on by then.
    pub fn read<'b, E: Entries<'b>>(
        &self,
        board: Combination,
        buffers: &'b mut Buffers,
        entries: &mut E,
    ) -> Result<Option<(BoardHead<'b>, SystemTime)>, ReadError> {
        match self.read_within(board, buffers, usize::MAX, entries)? {
            Within::Board { head, written, .. } => Ok(Some((head, written))),
            Within::Nothing | Within::TooLarge => Ok(None),
        }
    }

    /// Like [`Cache::read`], but skips a board for which `buffers` would exceed `limit` bytes.
    ///
    /// # Errors
    /// See [`Cache::read`].
    pub fn read_within<'b, E: Entries<'b>>(
        &self,
        board: Combination,
        buffers: &'b mut Buffers,
        limit: usize,
        entries: &mut E,
    ) -> Result<Within<'b>, ReadError> {
        let path = self.board_path(board);
        let Some(opened) = open(&path)? else { return Ok(Within::Nothing) };
        let (written, file) = (opened.modified()?, Some(opened.id()));
        let damaged = |damage| ReadError::Damaged { path: path.clone(), damage, file };
        if !buffers.make_room_for_file(opened.bytes(), limit) {
            return Ok(Within::TooLarge);
        }
        let read = opened.read_into(&mut buffers.compressed, MAX_BOARD_BYTES as u64);
        read.map_err(|error| of_one_board(error, &path, file))?;
        if !buffers.make_room_for_text(limit) {
            return Ok(Within::TooLarge);
        }
        let Buffers { compressed, text } = buffers;
        let trailer = compressed.last_chunk().copied().unwrap_or_default();
        let text = board_file::inflate(compressed, text).map_err(damaged)?;
        let head = board_file::parse(text, board, entries).map_err(damaged)?;
        Ok(Within::Board { head, written, trailer })
    }

    /// The gzip trailer of a board's file, which identifies its text (checksum and length), if there is a board; zeros if the file is
    /// too short to have one.
    ///
    /// # Errors
    /// If the file system fails.
    pub fn trailer(&self, board: Combination) -> Result<Option<[u8; 8]>, FsError> {
        let path = self.board_path(board);
        Ok(Opened::new(&path)?.map(Opened::read_end).transpose()?.map(Option::unwrap_or_default))
    }

    /// How many bytes [`Buffers`] need for a board that was too large for [`Cache::read_within`]. Inflates the whole file, since
    /// a damaged one may declare any size.
    ///
    /// # Errors
    /// See [`Cache::read`].
    pub fn measure(&self, board: Combination) -> Result<usize, ReadError> {
        let path = self.board_path(board);
        let Some(opened) = open(&path)? else { return Ok(0) };
        let (compressed, file) = (usize::try_from(opened.bytes()).unwrap_or(usize::MAX), Some(opened.id()));
        match board_file::measure(opened.reader()) {
            Ok(text) => Ok(compressed.saturating_add(text + 2)),
            Err(damage) => Err(ReadError::Damaged { path, damage, file }),
        }
    }

    /// The number of entries with a driver, if the board exists.
    ///
    /// # Errors
    /// See [`Cache::read`].
    pub fn count_entries(&self, board: Combination, buffers: &mut Buffers) -> Result<Option<usize>, ReadError> {
        let mut counted = Count(0);
        let found = self.read(board, buffers, &mut counted)?;
        Ok(found.map(|_| counted.0))
    }

    /// The version of a cached board. Empty if it is unknown or the board cannot be read; the board is then requested
    /// unconditionally.
    #[must_use]
    pub fn validators(&self, board: Combination) -> Validators {
        let beginning = fs::read_beginning(&self.board_path(board), board_version::HEAD_BYTES);
        beginning.ok().flatten().map(|it| board_version::read(&it)).unwrap_or_default()
    }

    /// Moves a damaged board file to `.damaged/` for inspection, replacing an older one of the same board, and returns its new
    /// path. If another file has replaced it in the meantime, nothing is moved.
    ///
    /// # Errors
    /// If the file system fails.
    pub fn set_aside(&self, board: Combination, damaged: Option<FileId>) -> Result<Option<PathBuf>, FsError> {
        let path = self.board_path(board);
        let Some(damaged) = damaged else {
            // Returns the reason.
            fs::identity(&path)?;
            return Ok(None);
        };
        if !fs::stands_at(&path, damaged)? {
            return Ok(None);
        }
        let aside = self.folder.join(DAMAGED).join(board_name(board));
        move_aside(&path, aside).map(Some)
    }
}

/// Moves a file or folder aside and returns its new path. Folders are not replaced, nor do they replace anything.
pub(super) fn move_aside(path: &Path, mut aside: PathBuf) -> Result<PathBuf, FsError> {
    fs::publish_folders(fs::parent(&aside))?;
    if fs::is_folder(&aside)? || fs::is_folder(path)? {
        aside = fs::unused(&aside)?;
    }
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// Opens a board's file. If it cannot be opened, the error carries the identity of what is at its path.
fn open(path: &Path) -> Result<Option<Opened<'_>>, ReadError> {
    Opened::new(path).or_else(|error| match fs::identity(path) {
        Ok(None) => Ok(None),
        found => Err(of_one_board(error, path, found.ok().flatten())),
    })
}

/// A bad sector, a folder, a symlink loop or missing permission concern this board only.
fn of_one_board(error: FsError, path: &Path, file: Option<FileId>) -> ReadError {
    if error.reach(Access::Read) == Reach::Path {
        ReadError::Damaged { path: path.to_owned(), damage: Damage::Unreadable(error.cause), file }
    } else {
        error.into()
    }
}

/// A board's path relative to the cache or staging folder.
pub(super) fn board_name(Combination { track, class }: Combination) -> String {
    format!("track_{track}/class_{class}.json.gz")
}

/// The board at a path relative to the cache or staging folder.
pub(super) fn board_of(track_folder: &str, file: &str) -> Option<Combination> {
    let track = track_folder.strip_prefix("track_")?.parse().ok()?;
    let class = file.strip_prefix("class_")?.strip_suffix(".json.gz")?.parse().ok()?;
    Some(Combination { track, class })
}

struct Count(usize);

impl<'a> Entries<'a> for Count {
    type Entry = Element<'a>;

    fn restart(&mut self) {
        self.0 = 0;
    }

    fn entry(&mut self, Element(entry): Element<'a>) {
        self.0 += usize::from(entry.is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn board_names_round_trip(track in 1u32.., class in 1u32..) {
            let board: Combination = format!("{track}-{class}").parse().unwrap();
            let name = board_name(board);
            let (folder, file) = name.split_once('/').unwrap();
            prop_assert_eq!(board_of(folder, file), Some(board));
        }
    }

    #[test]
    fn other_names_are_not_boards() {
        for (folder, file) in [
            ("track_1", "class_2.json"),
            ("track_1", ".class_2.json.gz.tmp"),
            ("track_01", "class_2.json.gz"),
            ("track_", "class_2.json.gz"),
            ("..", "class_2.json.gz"),
        ] {
            assert_eq!(board_of(folder, file), None, "{folder}/{file}");
        }
    }
}
