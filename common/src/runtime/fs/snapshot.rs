//! Looking at what stands at a path, without following a link and without opening it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

use super::{At as _, FsError, unless_missing};

/// Tells one file, in one state, from every other that stands or stood at its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// Its number on its file system, which the kernel tells elsewhere too: of what is mapped, for example.
    #[must_use]
    pub fn inode(self) -> u64 {
        self.number
    }
}

/// What kind of thing stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, wherever it leads.
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSnapshot {
    /// Which one it is.
    pub id: FileId,
    /// What it is.
    pub kind: Kind,
    /// How long it is.
    pub bytes: u64,
}

/// Looks at what stands there; `None` where nothing does.
///
/// # Errors
/// When that cannot be told.
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

/// Which file, folder or link stands there; `None` where nothing does.
///
/// # Errors
/// When that cannot be told.
pub fn identity(path: &Path) -> Result<Option<FileId>, FsError> {
    snapshot(path).map(|it| it.map(|it| it.id))
}

/// Whether that file stands there, or that a link there leads to it.
///
/// # Errors
/// When that cannot be told.
pub fn stands_at(path: &Path, file: FileId) -> Result<bool, FsError> {
    if identity(path)? == Some(file) {
        return Ok(true);
    }
    let linked = unless_missing(fs::metadata(path)).at("look at", path)?;
    Ok(linked.is_some_and(|it| FileId::of(&it) == file))
}

/// Whether a folder stands there.
///
/// # Errors
/// When that cannot be told.
pub fn is_folder(path: &Path) -> Result<bool, FsError> {
    snapshot(path).map(|it| it.is_some_and(|it| it.kind == Kind::Folder))
}

/// Tells one folder from another at the same path, whatever happens in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderId {
    device: u64,
    number: u64,
}

/// Which folder a path leads to, through links; `None` where it leads to none.
///
/// # Errors
/// When that cannot be told.
pub fn folder_id(path: &Path) -> Result<Option<FolderId>, FsError> {
    let found = unless_missing(fs::metadata(path)).at("look at", path)?;
    Ok(found.filter(Metadata::is_dir).map(|it| FolderId { device: it.dev(), number: it.ino() }))
}

/// Tells one file from another, whatever is written to it. A number comes again when the file is gone and nobody has it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inode {
    device: u64,
    number: u64,
}

/// Which file a path leads to, through links; `None` where it leads to none.
///
/// # Errors
/// When that cannot be told.
pub fn inode(path: &Path) -> Result<Option<Inode>, FsError> {
    let found = unless_missing(fs::metadata(path)).at("look at", path)?;
    Ok(found.map(|it| Inode { device: it.dev(), number: it.ino() }))
}
