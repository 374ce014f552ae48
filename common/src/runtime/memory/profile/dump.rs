//! Takes a heap profile. The allocator writes it to a memory file, which is sent in pieces, so it is never in memory as a whole.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::{MemoryError, figures, raw, refused};
use super::executable::Executable;
use crate::runtime::fs::{self, Scratch};

/// Prefix of the line after the allocator's text with the [`Origin`] in JSON.
pub const ORIGIN_MARK: &str = "R3E_ORIGIN: ";

/// `/proc/self/maps` has about a hundred lines of 100 bytes.
const MAX_MAPS_BYTES: u64 = 4 << 20;

/// The process that a dump was taken of, and the allocator's own figures at that moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The program's name.
    pub program: String,
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When the dump was taken, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whether allocations were being sampled.
    pub active: bool,
    /// Allocated bytes, thread caches included.
    pub allocated_bytes: u64,
    /// Bytes in thread caches.
    pub thread_cache_bytes: u64,
    /// Build ids of the executable files that were mapped, in hexadecimal, by path.
    pub build_ids: BTreeMap<String, String>,
}

/// A heap dump: jemalloc's `heap_v2` text, which `jeprof` reads, with the memory mappings, and a line with its [`Origin`].
#[derive(Debug)]
pub struct Dump {
    file: Scratch,
    bytes: u64,
}

impl Dump {
    /// Dumps this process. Blocks for some milliseconds, and with it other threads that allocate: not for async threads.
    ///
    /// # Errors
    /// If this process cannot be profiled, or a memory file cannot be created.
    pub fn take(program: &str, version: &str, at_ms: u64) -> Result<Self, MemoryError> {
        let active = super::state()?.active;
        let file = Scratch::in_memory("heap-profile")?;
        let path = file.reachable_at();
        let path = refused("a path", CString::new(path.as_os_str().as_bytes()))?;
        let (allocated_bytes, thread_cache_bytes) = figures::allocated()?;
        raw::dump_profile(&path)?;
        let origin = Origin {
            program: program.to_owned(),
            version: version.to_owned(),
            pid: std::process::id(),
            at_ms,
            active,
            allocated_bytes,
            thread_cache_bytes,
            build_ids: build_ids()?,
        };
        let line = refused("its origin", serde_json::to_string(&origin))?;
        let line = format!("\n{ORIGIN_MARK}{line}\n");
        let bytes = file.bytes()?;
        file.write_at(line.as_bytes(), bytes)?;
        Ok(Self { file, bytes: bytes + line.len() as u64 })
    }

    /// Its length.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Fills `into` with the bytes from `offset` on.
    ///
    /// # Errors
    /// If the dump is shorter, or cannot be read.
    pub fn read_at(&self, into: &mut [u8], offset: u64) -> Result<(), MemoryError> {
        Ok(self.file.read_at(into, offset)?)
    }
}

/// Build ids of the executable files that are mapped in this process, by path.
fn build_ids() -> Result<BTreeMap<String, String>, MemoryError> {
    let maps = fs::read_text(Path::new("/proc/self/maps"), MAX_MAPS_BYTES)?;
    let own = fs::link_target(Path::new("/proc/self/exe"))?;
    let mut ids = BTreeMap::new();
    for line in maps.lines() {
        let Some((rights, path)) = rights_and_path(line) else { continue };
        if !rights.contains('x') || !path.starts_with('/') || ids.contains_key(path) {
            continue;
        }
        // The program's file may have been replaced since it started. The reader checks libraries.
        let file = if own.as_deref() == Some(Path::new(path)) { Path::new("/proc/self/exe") } else { Path::new(path) };
        if let Ok(Some(executable)) = Executable::read(file)
            && !executable.build_id().is_empty()
        {
            ids.insert(path.to_owned(), executable.build_id().to_owned());
        }
    }
    Ok(ids)
}

/// `55d0-55d1 r-xp 00000000 fe:01 1234    /usr/bin/x`
fn rights_and_path(line: &str) -> Option<(&str, &str)> {
    let mut rest = line;
    let mut next = || {
        let (word, behind) = rest.split_once(' ')?;
        rest = behind.trim_start();
        Some(word)
    };
    let (_range, rights) = (next()?, next()?);
    let _offset_device_inode = (next()?, next()?, next()?);
    Some((rights, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_parsed() {
        let line = "55d0-55d1 r-xp 00000000 fe:01 1234                     /usr/bin/with space (deleted)";
        assert_eq!(rights_and_path(line), Some(("r-xp", "/usr/bin/with space (deleted)")));
        assert_eq!(rights_and_path("55d0-55d1 rw-p 00000000 00:00 0 "), Some(("rw-p", "")));
        assert_eq!(rights_and_path("55d0-55d1"), None);
    }

    #[test]
    fn a_dump_without_profiling_is_an_error() {
        let error = Dump::take("r3e-test", "1", 0).unwrap_err().to_string();
        assert!(error.contains("the allocator refused a heap profile"), "{error}");
    }
}
