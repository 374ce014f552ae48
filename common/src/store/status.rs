//! `status.json`: the state and last results of all jobs. Several processes write it, each only the keys it knows.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::Combination;
use crate::runtime::NEVER;

use super::cache::{DAMAGED, move_aside};
use super::published::STATUS;
use crate::runtime::fs::{self, Access, At as _, FsError, NewFile, Reach};

/// Ten times the size of a status in which every board failed with a long message.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// How long to wait for another process that is writing the file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// A board that could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedFetch {
    /// The track layout's name.
    pub track_name: String,
    /// The track layout's id.
    pub track_id: String,
    /// The class's id.
    pub class_id: String,
    /// The error with its causes.
    pub error: String,
    /// When it failed, in RFC 3339.
    pub timestamp: String,
}

impl FailedFetch {
    /// The board, if the ids are valid.
    #[must_use]
    pub fn board(&self) -> Option<Combination> {
        Some(Combination { track: self.track_id.parse().ok()?, class: self.class_id.parse().ok()? })
    }

    /// When it failed, if that is valid.
    #[must_use]
    pub fn at(&self) -> Option<SystemTime> {
        SystemTime::try_from(self.timestamp.parse::<jiff::Timestamp>().ok()?).ok()
    }
}

/// An update of `status.json`. Keys that are `None` stay as they are in the file.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// Whether boards are being fetched.
    pub fetch_in_progress: Option<bool>,
    /// When the last full refresh, or the last load that fetched, began.
    pub last_scrape_start: Option<String>,
    /// When it ended.
    pub last_scrape_end: Option<String>,
    /// Boards with entries.
    pub track_count: Option<usize>,
    /// Cached boards, including empty ones.
    pub total_fetched_combinations: Option<usize>,
    /// Track layouts with a cached board.
    pub total_unique_tracks: Option<usize>,
    /// Distinct drivers: their ids, or the keys of the driver index if only that is published.
    pub total_drivers: Option<usize>,
    /// Teams that have drivers.
    pub total_teams: Option<usize>,
    /// Entries in the index.
    pub total_entries: Option<usize>,
    /// The driver index of these figures, by the checksum and length that `gzip -lv` prints.
    pub generation: Option<String>,
    /// When the index was last exported.
    pub last_index_update: Option<String>,
    /// How long the export took, in milliseconds.
    pub index_build_time_ms: Option<f64>,
    /// The allocator's allocated bytes, in MB.
    pub memory_alloc_mb: Option<u64>,
    /// The allocator's resident bytes, in MB.
    pub memory_sys_mb: Option<u64>,
    /// The process's peak resident memory, in MB, according to the kernel.
    pub memory_peak_rss_mb: Option<u64>,
    /// How many boards failed.
    pub failed_fetch_count: Option<usize>,
    /// The failed boards.
    pub failed_fetches: Option<Vec<FailedFetch>>,
    /// How many boards were retried at the end.
    pub retried_fetch_count: Option<usize>,
}

/// Every key with its initial value; readers rely on all being present.
fn initial() -> Map<String, Value> {
    let value = json!({
        "fetch_in_progress": false,
        "last_scrape_start": NEVER,
        "last_scrape_end": NEVER,
        "track_count": 0,
        "total_fetched_combinations": 0,
        "total_unique_tracks": 0,
        "total_drivers": 0,
        "total_teams": 0,
        "total_entries": 0,
        "generation": "",
        "last_index_update": NEVER,
        "index_build_time_ms": 0,
        "daily_sprint_races_count": 0,
        "last_daily_race_refresh": NEVER,
        "memory_alloc_mb": 0,
        "memory_sys_mb": 0,
        "memory_peak_rss_mb": 0,
        "failed_fetch_count": 0,
        "failed_fetches": [],
        "retried_fetch_count": 0,
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The status file of a cache.
#[derive(Debug, Clone)]
pub struct StatusFile {
    path: PathBuf,
    lock: PathBuf,
}

impl StatusFile {
    /// The status file of a cache.
    #[must_use]
    pub fn new(cache: &Path) -> Self {
        Self { path: cache.join(STATUS), lock: cache.join(".status.lock") }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the keys of `changes` and keeps all others. A damaged file is moved to `.damaged/` and started afresh.
    ///
    /// # Errors
    /// If the file system fails, or another process holds the lock for seconds.
    pub fn update(&self, changes: &Status) -> Result<(), FsError> {
        let _lock = self.locked()?;
        let mut status = initial();
        for (key, old) in self.read()? {
            let same_type = |new: &mut Value| std::mem::discriminant(new) == std::mem::discriminant(&old);
            if status.get_mut(&key).is_none_or(same_type) {
                status.insert(key, old);
            }
        }
        if let Value::Object(changes) =
            serde_json::to_value(changes).map_err(std::io::Error::other).at("write", &self.path)?
        {
            status.extend(changes.into_iter().filter(|(_, value)| !value.is_null()));
        }
        let mut file = NewFile::publish(&self.path)?;
        serde_json::to_writer_pretty(&mut file, &status).map_err(std::io::Error::from).at("write", &self.path)?;
        file.write_all(b"\n").at("write", &self.path)?;
        file.commit()
    }

    /// The failed boards in the file.
    ///
    /// # Errors
    /// If the file system fails.
    pub fn failed_fetches(&self) -> Result<Vec<FailedFetch>, FsError> {
        let listed = self.read()?.remove("failed_fetches");
        // Rows of another shape are ignored.
        let rows = listed.and_then(|it| serde_json::from_value::<Vec<Value>>(it).ok()).unwrap_or_default();
        Ok(rows.into_iter().filter_map(|it| serde_json::from_value(it).ok()).collect())
    }

    /// Locks the file for an update, until dropped.
    fn locked(&self) -> Result<std::fs::File, FsError> {
        let file = fs::open_published_lock(&self.lock)?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) if begun.elapsed() < LOCK_TIMEOUT => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(std::io::Error::other(error)).at("lock", &self.lock),
            }
        }
    }

    fn read(&self) -> Result<Map<String, Value>, FsError> {
        let mut bytes = Vec::new();
        let damage = match fs::read_into(&self.path, &mut bytes, MAX_BYTES) {
            Ok(None) => return Ok(Map::new()),
            Ok(Some(_)) => match serde_json::from_slice(fs::without_bom(&bytes)) {
                Ok(status) => return Ok(status),
                Err(error) => error.to_string(),
            },
            Err(error) if error.reach(Access::Read) == Reach::Path => error.to_string(),
            Err(error) => return Err(error),
        };
        let aside = move_aside(&self.path, fs::parent(&self.path).join(DAMAGED).join(STATUS))?;
        tracing::warn!(error = damage, aside = %aside.display(), "status.json is damaged; it was moved aside and is started afresh");
        Ok(Map::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &StatusFile) -> Map<String, Value> {
        serde_json::from_str(&fs::read_text(file.path(), MAX_BYTES).unwrap()).unwrap()
    }

    fn put(file: &StatusFile, text: &str) {
        let mut new = NewFile::create(file.path()).unwrap();
        new.write_all(text.as_bytes()).unwrap();
        new.commit().unwrap();
    }

    #[test]
    fn an_update_keeps_the_keys_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let file = StatusFile::new(folder.path());
        // A byte order mark is not damage.
        put(&file, "\u{feff}{\"total_drivers\":655,\"someone_elses\":{\"key\":[1]},\"track_count\":\"wrong type\"}");
        file.update(&Status { fetch_in_progress: Some(true), ..Status::default() }).unwrap();
        let status = read(&file);
        assert_eq!(status["total_drivers"], 655);
        assert_eq!(status["someone_elses"], json!({"key": [1]}));
        assert_eq!(status["fetch_in_progress"], true);
        assert_eq!(status["track_count"], 0);
        assert_eq!(status["last_scrape_end"], NEVER);
    }

    #[test]
    fn concurrent_updates_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = StatusFile::new(folder.path());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| file.update(&Status { total_drivers: Some(7), ..Status::default() }).unwrap());
                scope.spawn(|| file.update(&Status { track_count: Some(9), ..Status::default() }).unwrap());
            }
        });
        let status = read(&file);
        assert_eq!((&status["total_drivers"], &status["track_count"]), (&json!(7), &json!(9)));
    }

    #[test]
    fn a_damaged_status_is_moved_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = StatusFile::new(folder.path());
        put(&file, "{\"total_dri");
        file.update(&Status { track_count: Some(9), ..Status::default() }).unwrap();
        assert_eq!(read(&file)["track_count"], 9);
        assert!(folder.path().join(".damaged/status.json").exists());
    }
}
