//! Moves staged boards into the cache.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::Staging;
use crate::domain::Combination;
use crate::runtime::fs::{self, FsError};
use crate::store::cache::{Buffers, ReadError};

/// What a promotion did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// The number of promoted boards.
    pub boards: usize,
    /// Cached boards with entries, kept instead of an empty board.
    pub kept: Vec<Combination>,
}

impl Staging {
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
}
