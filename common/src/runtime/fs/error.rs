//! Errors of the file system: how far they reach, and what the user can do.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::Uid;

/// The file system refused an operation.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {cause}{hint}", path.display())]
pub struct FsError {
    /// The operation, as a verb: `read`, `write`, …
    pub action: &'static str,
    /// Its path.
    pub path: PathBuf,
    /// The system's error.
    pub cause: io::Error,
    /// An explanation in parentheses, or nothing.
    hint: String,
}

/// How far an error reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This file or its folder. Others may be fine.
    Path,
    /// This process: there are no more descriptors, threads or memory.
    Process,
    /// The whole disk, presumably.
    Disk,
}

/// The kind of access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading it.
    Read,
    /// Creating, writing, renaming or removing it.
    Write,
}

impl FsError {
    /// Adds a hint if owners, modes or a limit explain the cause.
    #[must_use]
    pub fn new(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::with_hint(action, path, cause, &[path])
    }

    /// The error of a move, which either folder may have caused.
    pub(super) fn of_move(from: &Path, to: &Path, cause: io::Error) -> Self {
        Self::with_hint("move to", to, cause, &[from, to])
    }

    fn with_hint(action: &'static str, path: &Path, cause: io::Error, involved: &[&Path]) -> Self {
        let hint = hint(involved, &cause).map_or_else(String::new, |hint| format!(" (hint: {hint})"));
        Self { action, path: path.to_owned(), cause, hint }
    }

    /// How far the error reaches, for that kind of access.
    #[must_use]
    pub fn reach(&self, access: Access) -> Reach {
        reach(&self.cause, access)
    }
}

/// The one table of errors that concern a single file, and not the disk.
fn reach(cause: &io::Error, access: Access) -> Reach {
    use Errno::{EACCES, EAGAIN, EBUSY, EEXIST, EIO, ELOOP, EMFILE, ENFILE, ENOMEM, ENOTDIR, ENOTEMPTY, EPERM, EROFS};
    // Also found by our own checks, without an error number.
    if cause.kind() == io::ErrorKind::IsADirectory {
        return Reach::Path;
    }
    match cause.raw_os_error().map(Errno::from_raw) {
        Some(EACCES | EPERM | EROFS | EBUSY | ELOOP | ENOTDIR | EEXIST | ENOTEMPTY) => Reach::Path,
        // A bad sector affects one file, a failing write the whole disk.
        Some(EIO) if access == Access::Read => Reach::Path,
        Some(EMFILE | ENFILE | ENOMEM | EAGAIN) => Reach::Process,
        _ => Reach::Disk,
    }
}

fn hint(involved: &[&Path], cause: &io::Error) -> Option<String> {
    match Errno::from_raw(cause.raw_os_error()?) {
        Errno::EACCES | Errno::EPERM => owners(involved),
        Errno::EFBIG => {
            limit(Resource::RLIMIT_FSIZE).map(|it| format!("files are limited to {it} bytes, RLIMIT_FSIZE"))
        }
        Errno::EMFILE => {
            limit(Resource::RLIMIT_NOFILE).map(|it| format!("open files are limited to {it}, RLIMIT_NOFILE"))
        }
        _ => None,
    }
}

/// The soft limit. `None` if there is none.
fn limit(resource: Resource) -> Option<u64> {
    getrlimit(resource).ok().map(|(soft, _)| soft).filter(|it| *it != RLIM_INFINITY)
}

/// The owners of these files and of their folders, and the user of this process.
fn owners(involved: &[&Path]) -> Option<String> {
    let mut text = String::new();
    for (what, path) in involved.iter().flat_map(|path| [("", *path), ("folder ", super::parent(path))]) {
        if let Ok(found) = fs::symlink_metadata(path) {
            let (path, owner, mode) = (path.display(), found.uid(), found.mode() & 0o7777);
            let _infallible = write!(text, "{what}{path} belongs to user {owner}, mode {mode:04o}; ");
        }
    }
    (!text.is_empty()).then(|| format!("{text}this process runs as user {}", Uid::effective()))
}

/// Adds the action and the path to an error of the system.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, FsError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, FsError> {
        self.map_err(|cause| FsError::new(action, path, cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_each_error_reaches() {
        use Errno::*;
        let errors = [
            EACCES, EPERM, EROFS, EBUSY, EISDIR, ENOTDIR, EEXIST, ENOTEMPTY, ELOOP, EIO, ENOSPC, EDQUOT, EFBIG, ENOENT,
            ESTALE, EINVAL, EMFILE, ENFILE, ENOMEM, EAGAIN,
        ];
        let row = |errno: Errno| {
            let cause = io::Error::from(errno);
            format!("{errno:?} {:?} {:?}", reach(&cause, Access::Read), reach(&cause, Access::Write))
        };
        insta::assert_snapshot!(errors.map(row).join("\n"), @"
        EACCES Path Path
        EPERM Path Path
        EROFS Path Path
        EBUSY Path Path
        EISDIR Path Path
        ENOTDIR Path Path
        EEXIST Path Path
        ENOTEMPTY Path Path
        ELOOP Path Path
        EIO Path Disk
        ENOSPC Disk Disk
        EDQUOT Disk Disk
        EFBIG Disk Disk
        ENOENT Disk Disk
        ESTALE Disk Disk
        EINVAL Disk Disk
        EMFILE Process Process
        ENFILE Process Process
        ENOMEM Process Process
        EAGAIN Process Process
        ");
        assert_eq!(reach(&io::Error::other("no number"), Access::Write), Reach::Disk);
    }

    #[test]
    fn what_is_denied_names_owners_and_modes() {
        let folder = tempfile::tempdir().unwrap();
        let denied = || io::Error::from(Errno::EACCES);
        let text = FsError::new("create", &folder.path().join("new"), denied()).to_string();
        let (us, mode) = (Uid::effective(), folder.path().metadata().unwrap().mode() & 0o7777);
        let expected = format!("belongs to user {us}, mode {mode:04o}; this process runs as user {us})");
        assert!(text.contains(&expected), "{text}");
        assert!(!text.contains("new belongs"), "{text}");
        let full = FsError::new("write", folder.path(), io::Error::from(Errno::ENOSPC)).to_string();
        assert!(!full.contains("hint"), "{full}");
    }
}
