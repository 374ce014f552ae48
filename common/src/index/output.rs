//! Blocks of JSON on their way into the files of the driver index.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::gzip::{self, Block, HEADER, Trailer};
use super::writer::Exported;
use crate::runtime::fs::{FsError, NewFile};

/// The files of the driver index, while they are written.
#[derive(Debug)]
pub(super) struct Output {
    gzip: NewFile,
    plain: Option<NewFile>,
    folder: PathBuf,
    trailer: Trailer,
    json_bytes: u64,
    gzip_bytes: u64,
}

impl Output {
    pub(super) fn new(mut gzip: NewFile, plain: Option<NewFile>, folder: &Path) -> Result<Self, FsError> {
        gzip.write_all(&HEADER).map_err(|error| cannot_write(folder, error))?;
        let (folder, trailer) = (folder.to_owned(), Trailer::default());
        Ok(Self { gzip, plain, folder, trailer, json_bytes: 0, gzip_bytes: HEADER.len() as u64 })
    }

    /// Whether the text of blocks is written too.
    pub(super) fn takes_text(&self) -> bool {
        self.plain.is_some()
    }

    /// Writes the next block; `length` is that of its text, which may be left out where it is not taken.
    pub(super) fn block(&mut self, block: &Block, length: usize, text: &[u8]) -> Result<(), FsError> {
        self.trailer.add(block);
        self.json_bytes += length as u64;
        self.gzip_bytes += block.bytes.len() as u64;
        let plain = self.plain.as_mut().map_or(Ok(()), |plain| plain.write_all(text));
        plain.and_then(|()| self.gzip.write_all(&block.bytes)).map_err(|error| cannot_write(&self.folder, error))
    }

    /// Ends the files.
    pub(super) fn end(&mut self, exported: &mut Exported) -> Result<(), FsError> {
        exported.json_bytes = self.json_bytes;
        exported.generation = std::mem::take(&mut self.trailer).generation(self.json_bytes);
        let ending = gzip::ending(exported.generation);
        exported.gzip_bytes = self.gzip_bytes + ending.len() as u64;
        self.gzip.write_all(&ending).map_err(|error| cannot_write(&self.folder, error))
    }

    /// Puts the files in their place; returns whether any differs from what was there.
    pub(super) fn commit(self) -> Result<bool, FsError> {
        let mut changed = self.gzip.commit_if_changed()?;
        if let Some(plain) = self.plain {
            changed |= plain.commit_if_changed()?;
        }
        Ok(changed)
    }
}

/// The error for a refusal while writing exports.
pub(super) fn cannot_write(folder: &Path, cause: io::Error) -> FsError {
    FsError::new("write an export into", folder, cause)
}
