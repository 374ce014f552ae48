//! What the file system refused, how far that reaches, and what the user can do about it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::Uid;

/// The file system refused something.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {cause}{hint}", path.display())]
pub struct FsError {
    /// What was tried, as a verb: `read`, `write`, …
    pub action: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// The system's error.
    pub cause: io::Error,
    /// What lies behind it, in parentheses; empty where nothing more is known.
    hint: String,
}

/// How far a refusal reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This file or its folder. Others may be fine, if the folder of them all is.
    Path,
    /// This process: it has, or the system has, no more descriptors or memory.
    Process,
    /// The disk, as far as anybody knows.
    Disk,
}

/// What was being done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading it.
    Read,
    /// Creating, writing, renaming or removing it.
    Write,
}

impl FsError {
    /// An error that names the action and the path, with a hint where the path or a limit explains the cause.
    #[must_use]
    pub fn new(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::with_hint(action, path, cause, &[path])
    }

    /// The error of moving a file, which either folder may have refused.
    pub(super) fn of_move(from: &Path, to: &Path, cause: io::Error) -> Self {
        Self::with_hint("move to", to, cause, &[from, to])
    }

    fn with_hint(action: &'static str, path: &Path, cause: io::Error, involved: &[&Path]) -> Self {
        let hint = hint(involved, &cause).map_or_else(String::new, |hint| format!(" (hint: {hint})"));
        Self { action, path: path.to_owned(), cause, hint }
    }

    /// How far this reaches, where the file was accessed so.
    #[must_use]
    pub fn reach(&self, access: Access) -> Reach {
        reach(&self.cause, access)
    }
}

/// The one place that decides what is about a single file and what is about the disk.
fn reach(cause: &io::Error, access: Access) -> Reach {
    use Errno::{EACCES, EAGAIN, EBUSY, EEXIST, EIO, ELOOP, EMFILE, ENFILE, ENOMEM, ENOTDIR, ENOTEMPTY, EPERM, EROFS};
    // Also where we found it ourselves, and the system gave no number.
    if cause.kind() == io::ErrorKind::IsADirectory {
        return Reach::Path;
    }
    match cause.raw_os_error().map(Errno::from_raw) {
        Some(EACCES | EPERM | EROFS | EBUSY | ELOOP | ENOTDIR | EEXIST | ENOTEMPTY) => Reach::Path,
        // A bad sector is one file's; a disk that cannot be written to is everybody's.
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

/// The limit in force; none where there is none.
fn limit(resource: Resource) -> Option<u64> {
    getrlimit(resource).ok().map(|(soft, _)| soft).filter(|it| *it != RLIM_INFINITY)
}

/// Who owns these files and their folders, as far as that can be seen, and who we are.
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

/// Turns a system error into one that names the action and the path.
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
        let errors = [
            Errno::EACCES,
            Errno::EPERM,
            Errno::EROFS,
            Errno::EBUSY,
            Errno::EISDIR,
            Errno::ENOTDIR,
            Errno::EEXIST,
            Errno::ENOTEMPTY,
            Errno::ELOOP,
            Errno::EIO,
            Errno::ENOSPC,
            Errno::EDQUOT,
            Errno::EFBIG,
            Errno::ENOENT,
            Errno::ESTALE,
            Errno::EINVAL,
            Errno::EMFILE,
            Errno::ENFILE,
            Errno::ENOMEM,
            Errno::EAGAIN,
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
