//! A published file that is being written, block by block.

use std::io::Write as _;

use super::generation::Generation;
use super::gzip::{self, Block, HEADER, Trailer};
use super::staged::Staged;
use crate::runtime::fs::{FsError, NewFile};

/// A file of one gzip member, and optionally an uncompressed copy.
#[derive(Debug)]
pub(super) struct Output {
    name: String,
    gzip: NewFile,
    plain: Option<NewFile>,
    trailer: Trailer,
    json_bytes: u64,
    gzip_bytes: u64,
}

/// The result of writing a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) generation: Generation,
    pub(super) gzip_bytes: u64,
}

impl Output {
    /// Creates `{name}.gz`, and with `plain` also `{name}`.
    pub(super) fn new(staged: &Staged, name: &str, plain: bool) -> Result<Self, FsError> {
        let compressed = format!("{name}.gz");
        let mut gzip = staged.create(&compressed)?;
        gzip.write_all(&HEADER).map_err(|error| staged.cannot_write(&compressed, error))?;
        let plain = if plain { Some(staged.create(name)?) } else { None };
        let (name, trailer) = (name.to_owned(), Trailer::default());
        Ok(Self { name, gzip, plain, trailer, json_bytes: 0, gzip_bytes: HEADER.len() as u64 })
    }

    /// Writes the next block. `text` is used only for the uncompressed copy.
    pub(super) fn block(&mut self, staged: &Staged, block: &Block, text: &[u8]) -> Result<(), FsError> {
        self.trailer.add(block);
        self.json_bytes += block.text_bytes as u64;
        self.gzip_bytes += block.bytes.len() as u64;
        if let Some(plain) = &mut self.plain {
            plain.write_all(text).map_err(|error| staged.cannot_write(&self.name, error))?;
        }
        self.gzip.write_all(&block.bytes).map_err(|error| staged.cannot_write(&format!("{}.gz", self.name), error))
    }

    /// Completes the file. With `up_to`, only a difference in the first `up_to` bytes counts as a change.
    pub(super) fn end(mut self, staged: &mut Staged, up_to: Option<u64>) -> Result<Written, FsError> {
        let generation = self.trailer.generation(self.json_bytes);
        let ending = gzip::ending(generation);
        let compressed = format!("{}.gz", self.name);
        self.gzip.write_all(&ending).map_err(|error| staged.cannot_write(&compressed, error))?;
        staged.add(compressed, self.gzip, up_to)?;
        if let Some(plain) = self.plain {
            staged.add(self.name, plain, None)?;
        }
        Ok(Written { generation, gzip_bytes: self.gzip_bytes + ending.len() as u64 })
    }

    /// The size of the compressed file so far.
    pub(super) fn gzip_bytes(&self) -> u64 {
        self.gzip_bytes
    }
}
