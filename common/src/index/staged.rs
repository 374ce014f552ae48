//! The files of an export while it runs: written under hidden names, then moved to their paths together.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::runtime::fs::{self, Complete, FsError, NewFile};

/// Complete files, in the order in which they will be moved to their paths.
#[derive(Debug)]
pub(super) struct Staged {
    folder: PathBuf,
    files: Vec<(Complete, Option<u64>)>,
    names: BTreeSet<String>,
}

impl Staged {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), files: Vec::new(), names: BTreeSet::new() }
    }

    /// Creates the file with this name.
    pub(super) fn create(&self, name: &str) -> Result<NewFile, FsError> {
        let path = self.folder.join(name);
        if name.contains('/') {
            fs::publish_folders(fs::parent(&path))?;
        }
        NewFile::publish(&path)
    }

    /// Writes a whole file. With `up_to`, only a difference in the first `up_to` bytes counts as a change.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8], up_to: Option<u64>) -> Result<(), FsError> {
        let mut file = self.create(name)?;
        file.write_all(bytes).map_err(|error| self.cannot_write(name, error))?;
        self.add(name.to_owned(), file, up_to)
    }

    /// The error for a file that cannot be written.
    pub(super) fn cannot_write(&self, name: &str, cause: io::Error) -> FsError {
        FsError::new("write", &self.folder.join(name), cause)
    }

    /// Adds a complete file; `up_to` is as in [`Staged::write`].
    pub(super) fn add(&mut self, name: String, file: NewFile, up_to: Option<u64>) -> Result<(), FsError> {
        self.files.push((file.complete()?, up_to));
        self.names.insert(name);
        Ok(())
    }

    /// Moves all files to their paths, in the order in which they were added, except those that have not changed. Returns how
    /// many were moved, and the names of all files.
    pub(super) fn promote(self) -> Result<(usize, BTreeSet<String>), FsError> {
        let mut changed = Vec::new();
        for (file, up_to) in self.files {
            if !file.is_published(up_to)? {
                changed.push(file);
            }
        }
        let written = changed.len();
        if written > 0 {
            fs::sync_file_system(&self.folder)?;
            let folders: BTreeSet<PathBuf> = changed.iter().map(|it| it.folder().to_owned()).collect();
            changed.into_iter().try_for_each(Complete::publish)?;
            folders.iter().try_for_each(|it| fs::sync_folder(it))?;
        }
        Ok((written, self.names))
    }
}
