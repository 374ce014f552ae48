//! A file that was opened to be read whole.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::{At as _, FileId, FsError, unless_missing};

/// A file that was opened, and nothing of it read yet.
#[derive(Debug)]
pub struct Opened<'p> {
    file: File,
    metadata: Metadata,
    path: &'p Path,
}

impl<'p> Opened<'p> {
    /// Opens a file; `None` where there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn new(path: &'p Path) -> Result<Option<Self>, FsError> {
        // Opening a pipe or device may not wait for whoever is at its other end.
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

    /// Which file it is, whatever stands at its path by now.
    #[must_use]
    pub fn id(&self) -> FileId {
        FileId::of(&self.metadata)
    }

    /// How long it is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.metadata.len()
    }

    /// When it was last written.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn modified(&self) -> Result<SystemTime, FsError> {
        self.metadata.modified().at("look at", self.path)
    }

    /// Reads its beginning, at most `limit` bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_beginning(self, limit: usize) -> Result<Vec<u8>, FsError> {
        let mut bytes = Vec::with_capacity(limit);
        self.file.take(limit as u64).read_to_end(&mut bytes).at("read", self.path)?;
        Ok(bytes)
    }

    /// Reads it into `into` (emptied before), at most `limit` bytes and one, so that a longer file shows.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_into(self, into: &mut Vec<u8>, limit: u64) -> Result<(), FsError> {
        make_room(into, usize::try_from(self.bytes().min(limit)).unwrap_or(0) + 1);
        self.file.take(limit.saturating_add(1)).read_to_end(into).at("read", self.path).map(|_| ())
    }

    /// Reads it in pieces.
    #[must_use]
    pub fn reader(self) -> BufReader<File> {
        BufReader::new(self.file)
    }
}

/// Empties a buffer and gives it room for that many bytes, never holding the room it had and the new one at once.
pub fn make_room(buffer: &mut Vec<u8>, bytes: usize) {
    buffer.clear();
    if buffer.capacity() < bytes {
        *buffer = Vec::new();
        buffer.reserve_exact(bytes);
    }
}
