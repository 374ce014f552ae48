//! Reads from an ELF file what a heap profile needs: its build id, which identifies the build, and where its segments are loaded.

use std::path::Path;

use object::LittleEndian;
use object::elf::{ELF_NOTE_GNU, FileHeader64, NT_GNU_BUILD_ID, ProgramHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use crate::runtime::fs;
use crate::runtime::fs::FsError;

/// Headers and notes are at the beginning of a file.
const BEGINNING: usize = 64 << 10;

/// An executable or library.
#[derive(Debug, PartialEq, Eq)]
pub struct Executable {
    build_id: String,
    segments: Vec<Segment>,
}

/// A part of the file that is loaded.
#[derive(Debug, PartialEq, Eq)]
struct Segment {
    offset: u64,
    bytes: u64,
    address: u64,
}

impl Executable {
    /// Reads the headers of a file. `None` if there is no such file, or it is not a 64-bit little-endian ELF file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>, FsError> {
        Ok(fs::read_beginning(path, BEGINNING)?.and_then(|file| Self::parse(&file)))
    }

    fn parse(file: &[u8]) -> Option<Self> {
        let header = FileHeader64::<LittleEndian>::parse(file).ok()?;
        let order = header.endian().ok()?;
        let headers = header.program_headers(order, file).ok()?;
        let segment = |it: &ProgramHeader64<LittleEndian>| {
            let (offset, bytes) = it.file_range(order);
            Segment { offset, bytes, address: it.p_vaddr(order) }
        };
        let segments = headers.iter().filter(|it| it.p_type(order) == object::elf::PT_LOAD).map(segment).collect();
        let build_id = headers.iter().find_map(|it| build_id(it, file, order)).unwrap_or_default();
        let build_id = build_id.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        Some(Self { build_id, segments })
    }

    /// The build id in hexadecimal; empty if there is none.
    #[must_use]
    pub fn build_id(&self) -> &str {
        &self.build_id
    }

    /// The address, as in symbol tables, of an offset in the file.
    #[must_use]
    pub fn address_of(&self, offset: u64) -> Option<u64> {
        self.segments.iter().find_map(|it| {
            let within = offset.checked_sub(it.offset).filter(|within| *within < it.bytes)?;
            it.address.checked_add(within)
        })
    }
}

fn build_id<'f>(header: &ProgramHeader64<LittleEndian>, file: &'f [u8], order: LittleEndian) -> Option<&'f [u8]> {
    let mut notes = header.notes(order, file).ok()??;
    while let Ok(Some(note)) = notes.next() {
        if note.name() == ELF_NOTE_GNU && note.n_type(order) == NT_GNU_BUILD_ID {
            return Some(note.desc());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with a header of a loaded segment and one of notes, at its end.
    fn file(notes: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 64 + 2 * 56];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        (file[32], file[54], file[56]) = (64, 56, 2);
        (file[64], file[64 + 8], file[64 + 17], file[64 + 33]) = (1, 16, 0x10, 1);
        let header = 64 + 56;
        (file[header], file[header + 8], file[header + 48]) = (4, 64 + 2 * 56, 4);
        file[header + 32] = u8::try_from(notes.len()).unwrap();
        file.extend_from_slice(notes);
        file
    }

    #[test]
    fn build_id_and_addresses_are_found() {
        let other = b"\x04\0\0\0\x03\0\0\0\x01\0\0\0GNU\0abc\0";
        let id = b"\x04\0\0\0\x03\0\0\0\x03\0\0\0GNU\0\x01\xfe\x02\0";
        let found = Executable::parse(&file(&[&other[..], id].concat())).unwrap();
        assert_eq!(found.build_id(), "01fe02");
        let addresses = [0, 16, 16 + 255, 16 + 256].map(|offset| found.address_of(offset));
        assert_eq!(addresses, [None, Some(0x1000), Some(0x10ff), None]);
        assert_eq!(Executable::parse(&file(other)).unwrap().build_id(), "");
        assert_eq!(Executable::parse(b"#!/bin/sh"), None);
        assert_eq!(Executable::read(Path::new("/nowhere/at/all")).unwrap(), None);
        assert!(Executable::read(Path::new("/proc/self/exe")).unwrap().is_some());
    }
}
