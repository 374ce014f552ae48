//! Lock files. The kernel releases a lock when the process dies.

use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::{At as _, FsError, Inode, NewFile, inode, modes};

/// Opens a lock file, and creates it if it is missing. A file that this user may not write is opened for reading, which is enough
/// for a lock.
///
/// # Errors
/// If the system refuses.
pub fn open_lock(path: &Path) -> Result<File, FsError> {
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(path);
    match opened {
        Err(error) if error.raw_os_error() == Some(Errno::EACCES as i32) => {
            File::open(path).map_err(|_| error).at("open", path)
        }
        opened => opened.at("open", path),
    }
}

/// Opens and locks a file. Returns `None` if another process holds the lock. If the file system does not support locks, that is
/// logged, and the file is returned.
///
/// # Errors
/// If the file cannot be opened.
pub fn lock_exclusively(path: &Path) -> Result<Option<File>, FsError> {
    let file = open_lock(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, path = %path.display(), "cannot lock; a second instance would not be noticed");
            Ok(Some(file))
        }
    }
}

/// Like [`open_lock`], but a file that is created can be opened by every user.
///
/// # Errors
/// If the system refuses.
pub fn open_published_lock(path: &Path) -> Result<File, FsError> {
    let created = File::options().read(true).write(true).create_new(true).mode(modes::FILE).open(path);
    match created {
        Ok(file) => {
            modes::publish_file(&file).at("set the mode of", path)?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => open_lock(path),
        Err(error) => Err(error).at("open", path),
    }
}

/// Whether a file was opened for writing.
///
/// # Errors
/// If the system refuses.
pub fn is_writable(file: &File) -> io::Result<bool> {
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    Ok(flags & OFlag::O_ACCMODE != OFlag::O_RDONLY)
}

/// Whether an open file is still at its path.
///
/// # Errors
/// If the system refuses.
pub fn leads_to(path: &Path, file: &File) -> Result<bool, FsError> {
    let open = file.metadata().at("look at", path)?;
    Ok(inode(path)? == Some(Inode::of(&open)))
}

/// Replaces a lock file that cannot be written by one with that content, which is locked before it appears. The caller must hold
/// the lock of the old file, and keep it.
///
/// # Errors
/// If the system refuses. The old file is unchanged then.
pub fn replace_lock(path: &Path, content: &[u8]) -> Result<File, FsError> {
    let mut new = NewFile::publish(path)?;
    new.write_all(content).at("write", path)?;
    // Another descriptor of the same open file, which shares its lock.
    let file = new.flushed()?.try_clone().at("open", path)?;
    file.try_lock().map_err(io::Error::from).at("lock", path)?;
    new.commit_unsynced()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_locked_and_the_old_one_detected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let old = open_published_lock(&path).unwrap();
        old.try_lock().unwrap();
        assert!(is_writable(&old).unwrap() && leads_to(&path, &old).unwrap());
        assert!(!is_writable(&File::open(&path).unwrap()).unwrap());
        let new = replace_lock(&path, b"holder").unwrap();
        assert!(!leads_to(&path, &old).unwrap() && leads_to(&path, &new).unwrap());
        let other = open_lock(&path).unwrap();
        assert!(other.try_lock().is_err());
        drop(new);
        other.try_lock().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"holder");
    }
}
