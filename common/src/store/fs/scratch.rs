//! A file without a name, for what does not fit in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::{At as _, StoreError, create_folders, parent, remove};

/// A file that is removed as soon as it is made, and then only written and read through this handle: its space is free
/// again when the handle is dropped, and also when the process is killed, whatever kills it.
#[derive(Debug)]
pub struct Scratch {
    file: File,
    path: PathBuf,
}

impl Scratch {
    /// Makes the file at `path`, a name that nothing else uses, and takes the name away. What stands there is what a
    /// process left that was killed between the two.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        create_folders(parent(path))?;
        remove(path)?;
        let file = File::options().read(true).write(true).create_new(true).open(path).at("create", path)?;
        remove(path)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// When the system refuses: mostly, because the disk is full.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), StoreError> {
        self.file.write_all_at(bytes, offset).at("write", &self.path)
    }

    /// Fills `into` with what was written at `offset`.
    ///
    /// # Errors
    /// When the system refuses, or the file ends before.
    pub fn read_at(&self, into: &mut [u8], offset: u64) -> Result<(), StoreError> {
        self.file.read_exact_at(into, offset).at("read", &self.path)
    }

    /// The error for bytes that are not those that were written.
    #[must_use]
    pub fn garbled(&self) -> StoreError {
        let cause = io::Error::new(io::ErrorKind::InvalidData, "not what was written there");
        StoreError { action: "read", path: self.path.clone(), cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_no_name_and_makes_room_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/.x.tmp");
        create_folders(parent(&path)).unwrap();
        std::fs::write(&path, "left by a killed process").unwrap();
        let scratch = Scratch::create(&path).unwrap();
        assert!(!path.exists());
        scratch.write_at(b"two", 3).unwrap();
        scratch.write_at(b"one", 0).unwrap();
        let mut read = [0; 6];
        scratch.read_at(&mut read, 0).unwrap();
        assert_eq!(&read, b"onetwo");
        let error = scratch.read_at(&mut read, 1).unwrap_err().to_string();
        assert!(error.contains("deep/.x.tmp"), "{error}");
    }
}
