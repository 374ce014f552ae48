//! `archive/status.json`: the totals of the archive, and what its last run recorded. `r3e-archive record` writes it; the
//! monitor shows it.

use std::io::{BufReader, Read as _};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::published::{ARCHIVE_STATUS, Published};
use crate::runtime::fs::{At as _, FsError};

/// A hundred times the size of a status.
const MAX_BYTES: u64 = 64 << 10;

/// The totals of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveStatus {
    /// When these totals were written.
    pub recorded_at: Timestamp,
    /// Nights of which something is recorded.
    pub nights: u64,
    /// Runs that recorded something.
    pub runs: u64,
    /// Versions of all boards.
    pub versions: u64,
    /// Entries of all versions.
    pub rows: u64,
    /// Size of the archive.
    pub bytes: u64,
    /// What the last run recorded.
    pub last_run: ArchiveRun,
}

/// What a run recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveRun {
    /// When it ended.
    pub recorded_at: Timestamp,
    /// Boards that had changed.
    pub boards: u64,
    /// Entries of these boards.
    pub rows: u64,
    /// Boards that are no longer in the cache.
    pub gone: u64,
    /// Boards whose files are damaged.
    pub damaged: u64,
}

impl ArchiveStatus {
    /// Reads the status in a cache, if there is one.
    ///
    /// # Errors
    /// If it cannot be read or is not a status.
    pub fn read(cache: &Path) -> Result<Option<Self>, FsError> {
        let Some(file) = Published::ArchiveStatus.open(cache)? else { return Ok(None) };
        let status = serde_json::from_reader(BufReader::new(file.take(MAX_BYTES)));
        status.map(Some).map_err(std::io::Error::from).at("read", &cache.join(ARCHIVE_STATUS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = r#"{"recorded_at":"2026-11-02T04:30:11Z","nights":30,"runs":31,"versions":1234,"rows":123456,
        "bytes":7654321,"last_run":{"recorded_at":"2026-11-02T04:30:11Z","boards":120,"rows":30123,"gone":0,"damaged":0}}"#;

    #[test]
    fn the_status_is_read_within_a_bound_and_garbage_is_an_error() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(ArchiveStatus::read(temp.path()).unwrap(), None);
        let path = temp.path().join(ARCHIVE_STATUS);
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(&path, STATUS).unwrap();
        let status = ArchiveStatus::read(temp.path()).unwrap().unwrap();
        assert_eq!((status.nights, status.bytes, status.last_run.rows), (30, 7_654_321, 30_123));
        let written = serde_json::to_value(&status).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(STATUS).unwrap());
        let blanks = " ".repeat(usize::try_from(MAX_BYTES).unwrap());
        let garbage =
            ["", "[]", "{}", "null", &STATUS.replace("30,", "-1,"), &STATUS.replace("04:", "24:"), &(blanks + STATUS)];
        for garbage in garbage {
            std::fs::write(&path, garbage).unwrap();
            let error = ArchiveStatus::read(temp.path()).unwrap_err().to_string();
            assert!(error.contains(ARCHIVE_STATUS), "{error}");
        }
    }
}
