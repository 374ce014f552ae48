//! The writer's lock: one writer at a time. Code that writes boards takes it as an argument.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::runtime::fs::{self, At as _, FsError};

/// In the cache folder and in the staging folder.
const NAME: &str = ".writer.lock";

/// Who holds the lock, from the lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The program's name.
    pub program: String,
    /// Its process id.
    pub pid: u32,
    /// When it took the lock, in RFC 3339.
    pub since: String,
    /// What it does.
    pub doing: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, pid, since, doing } = self;
        write!(f, "{program} (pid {pid}, since {since}: {doing})")
    }
}

/// Why the lock was not acquired.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another writer is at work in {}: {}", folder.display(),
        holder.as_ref().map_or_else(|| "unknown process".to_owned(), Holder::to_string))]
    Busy {
        /// The locked folder.
        folder: PathBuf,
        /// The holder, if the lock file names it.
        holder: Option<Holder>,
    },
    /// The file system failed.
    #[error(transparent)]
    Store(#[from] FsError),
}

/// The lock of a cache and its staging folder. The kernel releases it when the process dies.
#[derive(Debug)]
pub struct WriterLock {
    _cache: FolderLock,
    _staging: FolderLock,
}

/// The lock of one folder. The file of another user is replaced by one that names this process; then both are locked.
#[derive(Debug)]
struct FolderLock {
    _file: File,
    _replacement: Option<File>,
}

impl WriterLock {
    /// Locks both folders, creating them if necessary.
    ///
    /// # Errors
    /// [`LockError::Busy`] at once if another process holds either lock.
    pub fn acquire(cache: &Path, staging: &Path, holder: &Holder) -> Result<Self, LockError> {
        Ok(Self { _cache: lock(cache, holder)?, _staging: lock(staging, holder)? })
    }
}

fn lock(folder: &Path, holder: &Holder) -> Result<FolderLock, LockError> {
    fs::publish_folders(folder)?;
    let path = folder.join(NAME);
    let mut file = fs::open_published_lock(&path)?;
    match file.try_lock() {
        // Another process has replaced the file in the meantime, and holds the lock of the new one.
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
        // Another user's file: its content would still name the previous holder.
        let replacement = fs::replace_lock(&path, &text)?;
        return Ok(FolderLock { _file: file, _replacement: Some(replacement) });
    }
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(&text)).at("write", &path)?;
    Ok(FolderLock { _file: file, _replacement: None })
}

/// The holder, unless it has not written its name yet.
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
    fn the_error_names_the_holder_and_a_free_lock_is_acquired() {
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
        assert!(message.contains("unknown process"), "{message}");
    }
}
