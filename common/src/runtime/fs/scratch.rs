//! Memory files (`memfd_create`), which do not count as memory of the process.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{At as _, FsError};

/// A file in memory, freed when it is dropped or the process dies.
#[derive(Debug)]
pub struct Scratch {
    file: File,
    path: PathBuf,
}

impl Scratch {
    /// Creates a memory file. The kernel shows the name.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn in_memory(name: &str) -> Result<Self, FsError> {
        let path = PathBuf::from(format!("memfd:{name}"));
        let file = memfd_create(name, MFdFlags::MFD_CLOEXEC).map_err(io::Error::from).at("create", &path)?;
        Ok(Self { file: file.into(), path })
    }

    /// A path for code that can only write to paths, valid as long as the file.
    #[must_use]
    pub fn reachable_at(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    /// Its length.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn bytes(&self) -> Result<u64, FsError> {
        Ok(self.file.metadata().at("look at", &self.path)?.len())
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// If the system refuses, mostly because memory is full.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), FsError> {
        self.file.write_all_at(bytes, offset).at("write", &self.path)
    }

    /// Fills `into` with the bytes at `offset`.
    ///
    /// # Errors
    /// If the system refuses, or the file is too short.
    pub fn read_at(&self, into: &mut [u8], offset: u64) -> Result<(), FsError> {
        self.file.read_exact_at(into, offset).at("read", &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
