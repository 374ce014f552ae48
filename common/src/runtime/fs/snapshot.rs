//! Inspects paths without opening them.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

use super::{At as _, FsError, unless_missing};

/// Identifies one state of one file, among all that are or were at its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    number: u64,
    bytes: u64,
    written: Option<SystemTime>,
}

impl FileId {
    pub(super) fn of(file: &Metadata) -> Self {
        Self { device: file.dev(), number: file.ino(), bytes: file.len(), written: file.modified().ok() }
    }

    /// When the file was last modified, if the system knows.
    #[must_use]
    pub fn written(self) -> Option<SystemTime> {
        self.written
    }

    /// The inode number, which the kernel also shows for mapped files, for example.
    #[must_use]
    pub fn inode(self) -> u64 {
        self.number
    }
}

/// The type of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// What was found at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSnapshot {
    /// Its identity.
    pub id: FileId,
    /// Its type.
    pub kind: Kind,
    /// Its length.
    pub bytes: u64,
}

/// Inspects a path without following a link. `None` if nothing is there.
///
/// # Errors
/// If the system refuses.
pub fn snapshot(path: &Path) -> Result<Option<FileSnapshot>, FsError> {
    let found = unless_missing(fs::symlink_metadata(path)).at("look at", path)?;
    Ok(found.map(|it| {
        let kind = match it.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_symlink() => Kind::Link,
            _ => Kind::Other,
        };
        FileSnapshot { id: FileId::of(&it), kind, bytes: it.len() }
    }))
}

/// The identity of the file, folder or link at a path. `None` if nothing is there.
///
/// # Errors
/// If the system refuses.
pub fn identity(path: &Path) -> Result<Option<FileId>, FsError> {
    snapshot(path).map(|it| it.map(|it| it.id))
}

/// The identity of the file or folder that a path leads to. `None` if nothing is there.
///
/// # Errors
/// If the system refuses.
pub fn linked_identity(path: &Path) -> Result<Option<FileId>, FsError> {
    Ok(unless_missing(fs::metadata(path)).at("look at", path)?.map(|it| FileId::of(&it)))
}

/// Whether that file, in that state, is at the path, or a link at the path leads to it.
///
/// # Errors
/// If the system refuses.
pub fn stands_at(path: &Path, file: FileId) -> Result<bool, FsError> {
    Ok(identity(path)? == Some(file) || linked_identity(path)? == Some(file))
}

/// Whether a folder is at the path. A link to one is none.
///
/// # Errors
/// If the system refuses.
pub fn is_folder(path: &Path) -> Result<bool, FsError> {
    snapshot(path).map(|it| it.is_some_and(|it| it.kind == Kind::Folder))
}

/// Identifies a file or folder, whatever is written to it. A number is reused once the file is deleted and closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    pub(super) fn of(file: &Metadata) -> Self {
        Self { device: file.dev(), number: file.ino() }
    }
}

/// The file or folder at a path, through links. `None` if there is none.
///
/// # Errors
/// If the system refuses.
pub fn inode(path: &Path) -> Result<Option<Inode>, FsError> {
    let found = unless_missing(fs::metadata(path)).at("look at", path)?;
    Ok(found.as_ref().map(Inode::of))
}

/// The folder at a path, through links. `None` if there is none.
///
/// # Errors
/// If the system refuses.
pub fn folder_id(path: &Path) -> Result<Option<Inode>, FsError> {
    let found = unless_missing(fs::metadata(path)).at("look at", path)?;
    Ok(found.filter(Metadata::is_dir).as_ref().map(Inode::of))
}
