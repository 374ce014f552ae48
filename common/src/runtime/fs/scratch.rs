//! A file without a name, which is in memory of its own and not in that of the process.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{At as _, FsError};

/// A file that is only reached through this handle: its memory is free again when the handle is dropped, and also when the
/// process is killed, whatever kills it.
#[derive(Debug)]
pub struct Scratch {
    file: File,
    path: PathBuf,
}

impl Scratch {
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
    /// When the system refuses: mostly, because memory is full.
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
