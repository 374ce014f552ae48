//! A file without a name, for what does not fit in memory.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{At as _, FsError, create_folders, parent, remove};

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
    pub fn create(path: &Path) -> Result<Self, FsError> {
        create_folders(parent(path))?;
        remove(path)?;
        let file = File::options().read(true).write(true).create_new(true).open(path).at("create", path)?;
        remove(path)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Makes a file that is on no disk, but in memory of its own, which is not that of the process. The name is only shown
    /// by the kernel.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn in_memory(name: &str) -> Result<Self, FsError> {
        let path = PathBuf::from(format!("memfd:{name}"));
        let file = memfd_create(name, MFdFlags::MFD_CLOEXEC).map_err(io::Error::from).at("create", &path)?;
        Ok(Self { file: file.into(), path })
    }

    /// A path at which code that knows only paths can write this file, as long as it is here.
    #[must_use]
    pub fn reachable_at(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    /// How long it is.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn bytes(&self) -> Result<u64, FsError> {
        Ok(self.file.metadata().at("look at", &self.path)?.len())
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// When the system refuses: mostly, because the disk is full.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), FsError> {
        self.file.write_all_at(bytes, offset).at("write", &self.path)
    }

    /// Fills `into` with what was written at `offset`.
    ///
    /// # Errors
    /// When the system refuses, or the file ends before.
    pub fn read_at(&self, into: &mut [u8], offset: u64) -> Result<(), FsError> {
        self.file.read_exact_at(into, offset).at("read", &self.path)
    }

    /// The error for bytes that are not those that were written.
    #[must_use]
    pub fn garbled(&self) -> FsError {
        let cause = io::Error::new(io::ErrorKind::InvalidData, "not what was written there");
        FsError::new("read", &self.path, cause)
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

    #[test]
    fn one_in_memory_can_be_written_by_its_path() {
        let scratch = Scratch::in_memory("r3e-test").unwrap();
        assert_eq!(scratch.bytes().unwrap(), 0);
        std::fs::write(scratch.reachable_at(), "written from elsewhere").unwrap();
        assert_eq!(scratch.bytes().unwrap(), 22);
        let mut read = [0; 9];
        scratch.read_at(&mut read, 13).unwrap();
        assert_eq!(&read, b"elsewhere");
        assert!(scratch.read_at(&mut read, 14).unwrap_err().to_string().contains("memfd:r3e-test"));
    }
}
