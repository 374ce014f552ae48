//! The build id of an executable or library, which tells one build of a program from another: a note in the ELF file
//! (`elf(5)`), within its first page.

use std::fmt::Write as _;
use std::path::Path;

use crate::runtime::fs;
use crate::runtime::fs::FsError;

/// The beginning of a file that has headers and notes in it.
const BEGINNING: usize = 64 << 10;

const NOTES: u32 = 4;
const BUILD_ID: u32 = 3;

/// The build id of a file in hexadecimal; none where it has none, or is no 64-bit little-endian ELF file.
pub(super) fn of(path: &Path) -> Result<Option<String>, FsError> {
    Ok(fs::read_beginning(path, BEGINNING)?.and_then(|file| in_file(&file)))
}

fn in_file(file: &[u8]) -> Option<String> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (first, size, count) = (number(file, 32, 8)?, number(file, 54, 2)?, number(file, 56, 2)?);
    for index in 0..count {
        let header = file.get(first.checked_add(index * size)?..)?;
        if number(header, 0, 4)? != NOTES as usize {
            continue;
        }
        let (offset, length) = (number(header, 8, 8)?, number(header, 32, 8)?);
        let notes = file.get(offset..offset.checked_add(length)?);
        if let Some(id) = notes.and_then(in_notes) {
            return Some(hexadecimal(id));
        }
    }
    None
}

/// Bytes as build ids are written.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text does not fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// Each note has the lengths of its name and its content, its kind, and both, padded to four bytes.
fn in_notes(mut notes: &[u8]) -> Option<&[u8]> {
    loop {
        let (name, content, kind) = (number(notes, 0, 4)?, number(notes, 4, 4)?, number(notes, 8, 4)?);
        let content_at = 12 + name.next_multiple_of(4);
        if kind == BUILD_ID as usize && notes.get(12..12 + name)? == b"GNU\0" {
            return notes.get(content_at..content_at.checked_add(content)?);
        }
        notes = notes.get(content_at.checked_add(content.next_multiple_of(4))?..)?;
    }
}

/// The number of so many bytes there, the smallest first.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    let number = bytes.iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A file with one header of notes, at which those stand.
    fn file(notes: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (file[32], file[54], file[56]) = (64, 56, 1);
        file[64] = 4;
        file[64 + 8] = 120;
        file[64 + 32] = u8::try_from(notes.len()).unwrap();
        file.extend_from_slice(notes);
        file
    }

    #[test]
    fn it_is_found_behind_other_notes() {
        let other = b"\x04\0\0\0\x03\0\0\0\x01\0\0\0GNU\0abc\0";
        let id = b"\x04\0\0\0\x03\0\0\0\x03\0\0\0GNU\0\x01\xfe\x02\0";
        assert_eq!(in_file(&file(&[&other[..], id].concat())), Some("01fe02".to_owned()));
        assert_eq!(in_file(&file(other)), None);
        assert_eq!(in_file(b"#!/bin/sh"), None);
        assert_eq!(of(Path::new("/nowhere/at/all")).unwrap(), None);
        of(Path::new("/proc/self/exe")).unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_file(notes in prop::collection::vec(any::<u8>(), 0..200), at in 0..120_usize, byte: u8) {
            let mut file = file(&notes);
            file[at] = byte;
            let _either = in_file(&file);
        }
    }
}
