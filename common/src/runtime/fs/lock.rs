//! Files that only exist to hold a lock on, which the kernel takes back when the process dies.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::{At as _, FsError, NewFile, modes, unless_missing};

/// Opens a file for a lock to be held on it, creating it where it is missing; its content stays. One that this user may
/// only read is opened so: that is enough for a lock.
///
/// # Errors
/// When the system refuses.
pub fn open_lock(path: &Path) -> Result<File, FsError> {
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(path);
    match opened {
        Err(error) if error.raw_os_error() == Some(Errno::EACCES as i32) => {
            File::open(path).map_err(|_| error).at("open", path)
        }
        opened => opened.at("open", path),
    }
}

/// Likewise; one that is created can be opened by every user who works in the folder.
///
/// # Errors
/// When the system refuses.
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

/// Whether an open file can be written to.
///
/// # Errors
/// When the system does not say.
pub fn is_writable(file: &File) -> io::Result<bool> {
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    Ok(flags & OFlag::O_ACCMODE != OFlag::O_RDONLY)
}

/// Whether a path leads to an open file, and not to another that has replaced it.
///
/// # Errors
/// When that cannot be told.
pub fn leads_to(path: &Path, file: &File) -> Result<bool, FsError> {
    let open = file.metadata().at("look at", path)?;
    let found = unless_missing(std::fs::metadata(path)).at("look at", path)?;
    Ok(found.is_some_and(|it| (it.dev(), it.ino()) == (open.dev(), open.ino())))
}

/// Replaces a lock file that cannot be written to by one with that content, which is locked from the first moment on. To be
/// called by whoever holds the lock of the old one, and goes on holding it.
///
/// # Errors
/// When the system refuses; the old one is then still there.
pub fn replace_lock(path: &Path, content: &[u8]) -> Result<File, FsError> {
    let mut new = NewFile::publish(path)?;
    new.write_all(content).at("write", path)?;
    // A second handle of the same open file, which has the same lock.
    let file = new.flushed()?.try_clone().at("open", path)?;
    file.try_lock().map_err(io::Error::from).at("lock", path)?;
    new.commit_unsynced()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_replaced_is_locked_and_the_old_one_is_known_to_be_old() {
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
