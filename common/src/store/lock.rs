//! One writer at a time: the writer's lock, as a type that whatever writes boards takes as an argument.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::runtime::fs::{self, At as _, FsError};

/// Hidden, and beside what it guards: in the cache folder and in the staging folder.
const NAME: &str = ".writer.lock";

/// Who holds the lock, as the lock file says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The program's name.
    pub program: String,
    /// Its process id.
    pub pid: u32,
    /// Since when, in RFC 3339.
    pub since: String,
    /// What it was started to do.
    pub doing: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, pid, since, doing } = self;
        write!(f, "{program} (pid {pid}, since {since}: {doing})")
    }
}

/// Why the lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Someone else has it.
    #[error("another writer is at work in {}: {}", folder.display(),
        holder.as_ref().map_or_else(|| "it has not said who it is".to_owned(), Holder::to_string))]
    Busy {
        /// The folder that is being written to.
        folder: PathBuf,
        /// Who, where the lock file tells.
        holder: Option<Holder>,
    },
    /// The file system refused.
    #[error(transparent)]
    Store(#[from] FsError),
}

/// The right to write to a cache and its staging folder. The kernel takes it back when the process dies.
#[derive(Debug)]
pub struct WriterLock {
    _cache: FolderLock,
    _staging: FolderLock,
}

/// The lock of one folder: of the file that was there, and of the one that replaced it where it was another user's.
#[derive(Debug)]
struct FolderLock {
    _found: File,
    _replaced_by: Option<File>,
}

impl WriterLock {
    /// Takes the lock of both folders, making them where they are missing.
    ///
    /// # Errors
    /// [`LockError::Busy`] at once when another process holds either.
    pub fn acquire(cache: &Path, staging: &Path, holder: &Holder) -> Result<Self, LockError> {
        Ok(Self { _cache: take(cache, holder)?, _staging: take(staging, holder)? })
    }
}

fn take(folder: &Path, holder: &Holder) -> Result<FolderLock, LockError> {
    fs::publish_folders(folder)?;
    let path = folder.join(NAME);
    let mut file = fs::open_published_lock(&path)?;
    match file.try_lock() {
        // Whoever replaced it meanwhile has the lock of the one that is there now.
        Ok(()) if !fs::leads_to(&path, &file)? => {
            return Err(LockError::Busy { folder: folder.to_owned(), holder: None });
        }
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(LockError::Busy { folder: folder.to_owned(), holder: read_holder(&mut file) });
        }
        Err(TryLockError::Error(error)) => Err(error).at("lock", &path)?,
    }
    let text = serde_json::to_vec(holder).map_err(std::io::Error::other).at("write", &path)?;
    if !fs::is_writable(&file).at("look at", &path)? {
        // Another user's: nobody is at work, and its content would name whoever was.
        let replaced_by = fs::replace_lock(&path, &text)?;
        return Ok(FolderLock { _found: file, _replaced_by: Some(replaced_by) });
    }
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(&text)).at("write", &path)?;
    Ok(FolderLock { _found: file, _replaced_by: None })
}

/// What the holder wrote; nothing while it is only about to write it.
fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(program: &str) -> Holder {
        Holder { program: program.into(), pid: 7, since: "2026-11-23T04:00:00Z".into(), doing: "a test".into() }
    }

    #[test]
    fn the_second_is_told_who_holds_it_and_gets_it_once_it_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, staging) = (folder.path().join("c"), folder.path().join("s"));
        let first = WriterLock::acquire(&cache, &staging, &holder("r3e-loader")).unwrap();
        let message = WriterLock::acquire(&cache, &folder.path().join("other"), &holder("second")).unwrap_err();
        let message = message.to_string();
        assert!(message.contains("r3e-loader (pid 7, since 2026-11-23T04:00:00Z: a test)"), "{message}");
        let shared_staging = WriterLock::acquire(&folder.path().join("other"), &staging, &holder("third"));
        assert!(matches!(shared_staging, Err(LockError::Busy { .. })));
        drop(first);
        WriterLock::acquire(&cache, &staging, &holder("second")).unwrap();
    }

    #[test]
    fn a_lock_file_with_garbage_in_it_is_still_a_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, staging) = (folder.path().join("c"), folder.path().join("s"));
        let _held = WriterLock::acquire(&cache, &staging, &holder("first")).unwrap();
        let mut file = fs::open_lock(&cache.join(NAME)).unwrap();
        file.write_all(b"\xff\xff").unwrap();
        let message = WriterLock::acquire(&cache, &staging, &holder("second")).unwrap_err().to_string();
        assert!(message.contains("it has not said who it is"), "{message}");
    }
}
