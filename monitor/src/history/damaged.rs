//! Moves a damaged history aside, so that a new one can be started and the rest be recovered
//! (`sqlite3 monitor.db.damaged .recover`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use r3e_common::runtime::fs;
use r3e_common::runtime::fs::FsError;

use super::schema::APPLICATION;

/// The start of every SQLite database, whose header has the application id at [`AT`].
const MAGIC: &[u8] = b"SQLite format 3\0";
const AT: std::ops::Range<usize> = 68..72;
const HEADER_BYTES: usize = 100;

/// Moves the history and its log aside, and returns the new path. `None` if the file is not a history.
pub(crate) fn set_aside(path: &Path) -> Result<Option<PathBuf>, FsError> {
    let Some(beginning) = fs::read_beginning(path, HEADER_BYTES)? else { return Ok(None) };
    if !is_history(&beginning) {
        return Ok(None);
    }
    let aside = fs::unused(&with(path, ".damaged"))?;
    // The log first: beside a new file it would be lost.
    if fs::modified(&with(path, "-wal"))?.is_some() {
        fs::rename(&with(path, "-wal"), &with(&aside, "-wal"))?;
    }
    fs::rename(path, &aside)?;
    fs::remove(&with(path, "-shm"))?;
    fs::sync_folder(fs::parent(path))?;
    Ok(Some(aside))
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Whether a file that starts like this is a history, or may have been one: truncated, or only zeros, as after a power failure.
fn is_history(beginning: &[u8]) -> bool {
    let is_cut_off = beginning.len() < AT.end && (beginning.starts_with(MAGIC) || MAGIC.starts_with(beginning));
    let is_ours = beginning.starts_with(MAGIC)
        && beginning.get(AT).is_some_and(|it| it.iter().fold(0, |id, byte| id << 8 | i64::from(*byte)) == APPLICATION);
    is_cut_off || is_ours || beginning.iter().all(|it| *it == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_or_was_a_history_is_moved() {
        let ours = [MAGIC, &[7; 52], b"r3em", &[0; 28]].concat();
        let others = [MAGIC, &[7; 52], b"GPKG", &[0; 28]].concat();
        assert!(is_history(&ours) && is_history(&ours[..40]) && is_history(&[0; 100]) && is_history(b"SQLite"));
        assert!(!is_history(&others) && !is_history(b"root:x:0:0:root:/root:/bin/bash\n") && !is_history(&[1; 100]));
    }
}
