//! Files opened for reading.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::{At as _, FileId, FsError, unless_missing};

/// An open regular file.
#[derive(Debug)]
pub struct Opened<'p> {
    file: File,
    metadata: Metadata,
    path: &'p Path,
}

impl<'p> Opened<'p> {
    /// Opens a file. `None` if there is none.
    ///
    /// # Errors
    /// If it exists but cannot be read.
    pub fn new(path: &'p Path) -> Result<Option<Self>, FsError> {
        // Opening a pipe or device must not wait for its other end.
        let open = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
        let Some(file) = unless_missing(open).at("open", path)? else { return Ok(None) };
        let metadata = file.metadata().at("look at", path)?;
        if metadata.is_file() {
            return Ok(Some(Self { file, metadata, path }));
        }
        let pipe_or_device = || io::Error::new(io::ErrorKind::IsADirectory, "a pipe or device, expected a file");
        let why = if metadata.is_dir() { io::Error::from(Errno::EISDIR) } else { pipe_or_device() };
        Err(why).at("read", path)
    }

    /// Its identity, even if another file is at its path by now.
    #[must_use]
    pub fn id(&self) -> FileId {
        FileId::of(&self.metadata)
    }

    /// Its length.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.metadata.len()
    }

    /// When it was last modified.
    ///
    /// # Errors
    /// If the system does not report it.
    pub fn modified(&self) -> Result<SystemTime, FsError> {
        self.metadata.modified().at("look at", self.path)
    }

    /// Reads at most `limit` bytes from its start.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_beginning(self, limit: usize) -> Result<Vec<u8>, FsError> {
        let mut bytes = Vec::with_capacity(limit);
        self.file.take(limit as u64).read_to_end(&mut bytes).at("read", self.path)?;
        Ok(bytes)
    }

    /// Reads its last `N` bytes, unless it is shorter.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_end<const N: usize>(self) -> Result<Option<[u8; N]>, FsError> {
        let Some(offset) = self.bytes().checked_sub(N as u64) else { return Ok(None) };
        let mut end = [0; N];
        self.file.read_exact_at(&mut end, offset).at("read", self.path)?;
        Ok(Some(end))
    }

    /// Reads it into `into`, which is cleared first, up to one byte more than `limit`, so that the caller notices a larger file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_into(self, into: &mut Vec<u8>, limit: u64) -> Result<(), FsError> {
        make_room(into, usize::try_from(self.bytes().min(limit)).unwrap_or(0) + 1);
        self.file.take(limit.saturating_add(1)).read_to_end(into).at("read", self.path).map(|_| ())
    }

    /// A buffered reader.
    #[must_use]
    pub fn reader(self) -> BufReader<File> {
        BufReader::new(self.file)
    }
}

/// Clears a buffer and makes room for that many bytes, without ever holding the old and the new allocation at once.
pub fn make_room(buffer: &mut Vec<u8>, bytes: usize) {
    buffer.clear();
    if buffer.capacity() < bytes {
        *buffer = Vec::new();
        buffer.reserve_exact(bytes);
    }
}
