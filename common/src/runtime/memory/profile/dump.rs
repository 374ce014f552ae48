//! Taking a profile: the allocator writes it into a file in memory that is not the process's own, from where it is given
//! out piece by piece.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::{MemoryError, figures, raw, refused};
use super::build_id;
use crate::runtime::fs::{self, Scratch};

/// Begins the line behind the allocator's own text that tells the [`Origin`], in JSON.
pub const ORIGIN_MARK: &str = "R3E_ORIGIN: ";

/// The kernel's list of what is mapped has a line of 100 bytes for each of some hundred mappings.
const MAX_MAPS_BYTES: u64 = 4 << 20;

/// What is beside a dump: of whom it is, and what the allocator counted at that moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The program's name.
    pub program: String,
    /// Its version.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// The moment, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whether allocations were being sampled.
    pub active: bool,
    /// What the allocator had given out, thread caches included.
    pub allocated_bytes: u64,
    /// Of those, what threads' caches held.
    pub thread_cache_bytes: u64,
    /// The build ids of the files whose code was mapped, in hexadecimal, by path; of those that have one.
    pub build_ids: BTreeMap<String, String>,
}

/// A profile as the allocator wrote it: `heap_v2`, as `jeprof` reads it, with the kernel's list of what is mapped, and a
/// line that tells its [`Origin`].
#[derive(Debug)]
pub struct Dump {
    file: Scratch,
    bytes: u64,
}

impl Dump {
    /// Takes a profile of this process, which is of that program. Takes some milliseconds, in which other threads that
    /// allocate may have to wait: not for async threads.
    ///
    /// # Errors
    /// When this process cannot be profiled, or the system gives no file for it.
    pub fn take(program: &str, version: &str, at_ms: u64) -> Result<Self, MemoryError> {
        let active = super::state()?.active;
        let file = Scratch::in_memory("heap-profile")?;
        let path = file.reachable_at();
        let path = refused("a path", CString::new(path.as_os_str().as_bytes()))?;
        let (allocated_bytes, thread_cache_bytes) = figures::held()?;
        refused("a heap profile", raw::dump_profile(&path))?;
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

    /// How long it is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Fills `into` with what stands at `offset`.
    ///
    /// # Errors
    /// When the system refuses, or it ends before.
    pub fn read_at(&self, into: &mut [u8], offset: u64) -> Result<(), MemoryError> {
        Ok(self.file.read_at(into, offset)?)
    }
}

/// The build ids of the files whose code is mapped in this process, by path.
fn build_ids() -> Result<BTreeMap<String, String>, MemoryError> {
    let maps = fs::read_text(Path::new("/proc/self/maps"), MAX_MAPS_BYTES)?;
    let own = fs::link_target(Path::new("/proc/self/exe"))?;
    let mut ids = BTreeMap::new();
    for line in maps.lines() {
        let Some((rights, path)) = rights_and_path(line) else { continue };
        if !rights.contains('x') || !path.starts_with('/') || ids.contains_key(path) {
            continue;
        }
        // Our own file is read even where another stands at its path by now. Of libraries, who reads this looks whether it
        // is the same file.
        let file = if own.as_deref() == Some(Path::new(path)) { Path::new("/proc/self/exe") } else { Path::new(path) };
        // One that cannot be read has no id that we know of.
        if let Ok(Some(id)) = build_id::of(file) {
            ids.insert(path.to_owned(), id);
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
    fn a_line_of_the_kernels_list_is_taken_apart() {
        let line = "55d0-55d1 r-xp 00000000 fe:01 1234                     /usr/bin/with space (deleted)";
        assert_eq!(rights_and_path(line), Some(("r-xp", "/usr/bin/with space (deleted)")));
        assert_eq!(rights_and_path("55d0-55d1 rw-p 00000000 00:00 0 "), Some(("rw-p", "")));
        assert_eq!(rights_and_path("55d0-55d1"), None);
    }

    #[test]
    fn without_profiling_there_is_no_profile() {
        let error = Dump::take("r3e-test", "1", 0).unwrap_err().to_string();
        assert!(error.contains("the allocator refused a heap profile"), "{error}");
    }
}
