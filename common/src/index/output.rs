//! Blocks of JSON on their way into the files of the driver index.

use std::io::{self, Write as _};
use std::path::Path;

use super::export::Exported;
use super::gzip::{self, Block, HEADER, Trailer};
use crate::runtime::fs::{FsError, NewFile};

/// Rows in a block, about 1.3 MB of JSON: large enough that starting a compressor anew costs nothing, and a few of
/// them in flight cost little memory. Where blocks begin shows in the compressed bytes.
pub(super) const BLOCK_ROWS: usize = 4096;

/// Room for the text of a block.
pub(super) const BLOCK_BYTES: usize = BLOCK_ROWS * 384;

/// The files of the driver index, while they are written.
#[derive(Debug)]
pub(super) struct Output<'f> {
    gzip: &'f mut NewFile,
    plain: Option<&'f mut NewFile>,
    folder: &'f Path,
    trailer: Trailer,
    exported: Exported,
}

impl<'f> Output<'f> {
    pub(super) fn new(
        gzip: &'f mut NewFile,
        plain: Option<&'f mut NewFile>,
        folder: &'f Path,
    ) -> Result<Self, FsError> {
        let exported = Exported { gzip_bytes: HEADER.len() as u64, ..Exported::default() };
        gzip.write_all(&HEADER).map_err(|error| cannot_write(folder, error))?;
        Ok(Self { gzip, plain, folder, trailer: Trailer::default(), exported })
    }

    /// Whether the text of blocks is written too.
    pub(super) fn takes_text(&self) -> bool {
        self.plain.is_some()
    }

    /// Writes the next block; `length` is that of its text, which may be left out where it is not taken.
    pub(super) fn block(&mut self, block: &Block, length: usize, text: &[u8]) -> Result<(), FsError> {
        self.trailer.add(block);
        self.exported.json_bytes += length as u64;
        self.exported.gzip_bytes += block.bytes.len() as u64;
        let plain = self.plain.as_mut().map_or(Ok(()), |plain| plain.write_all(text));
        plain.and_then(|()| self.gzip.write_all(&block.bytes)).map_err(|error| cannot_write(self.folder, error))
    }

    /// Ends the files, which have `drivers` keys.
    pub(super) fn end(self, drivers: usize) -> Result<Exported, FsError> {
        let Self { gzip, folder, trailer, exported, .. } = self;
        let generation = trailer.generation(exported.json_bytes);
        let ending = gzip::ending(generation);
        gzip.write_all(&ending).map_err(|error| cannot_write(folder, error))?;
        let gzip_bytes = exported.gzip_bytes + ending.len() as u64;
        Ok(Exported { drivers, gzip_bytes, generation, ..exported })
    }
}

/// The error for a refusal while writing exports.
pub(super) fn cannot_write(folder: &Path, cause: io::Error) -> FsError {
    FsError::new("write an export into", folder, cause)
}
