//! The records of finished jobs: `{runtime.dir}/runs/{program}-{pid}-{started}.json`, one file for each run.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use r3e_common::runtime::exit::Exit;
use r3e_common::runtime::fs;
use r3e_common::runtime::fs::FsError;
use r3e_common::runtime::memory;
use r3e_common::runtime::run_record::{MAX_BYTES, RunRecord};
use serde_json::Value;

use crate::verdict::{self, Moment};

/// Upper bound of the records that are read at a time.
const MAX_RECORDS: usize = 1000;

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    pub(crate) program: String,
    pub(crate) pid: u32,
    /// 0 if unknown.
    pub(crate) pid_namespace: i64,
    pub(crate) version: String,
    /// The job.
    pub(crate) doing: String,
    pub(crate) started_ms: i64,
    /// Of a run without a record: when it was last seen.
    pub(crate) ended_ms: i64,
    pub(crate) outcome: String,
    /// `None` if unknown.
    pub(crate) exit_code: Option<i64>,
    pub(crate) peak_rss_bytes: u64,
    pub(crate) rss_bytes: u64,
    pub(crate) allocated_bytes: u64,
    /// Counts of boards, as the program reported them.
    pub(crate) boards: Option<Value>,
    /// Whether it left a record.
    pub(crate) recorded: bool,
}

impl Run {
    /// For its verdict. `None` if it did not do its work: it was killed, failed or stopped, or fetched nothing.
    pub(super) fn judged(&self) -> Option<verdict::Run> {
        let exit = self.exit_code.and_then(|code| u8::try_from(code).ok()).and_then(Exit::from_code);
        let boards = |which: &str| self.boards.as_ref().and_then(|it| it[which].as_u64()).unwrap_or(0);
        let fetched = boards("fetched");
        if !self.recorded || fetched == 0 || !matches!(exit, Some(Exit::Done | Exit::SomeBoardsFailed)) {
            return None;
        }
        let held = memory::Figures {
            peak_rss_bytes: self.peak_rss_bytes,
            rss_bytes: self.rss_bytes,
            allocated_bytes: self.allocated_bytes,
            ..memory::Figures::default()
        };
        let end = Moment { at_ms: self.ended_ms, figures: verdict::Figures::new(&held, 0) };
        Some(verdict::Run { end, fetched, entries: boards("entries") })
    }
}

fn run(it: RunRecord) -> Result<Run, jiff::Error> {
    let milliseconds = |text: &str| text.parse::<Timestamp>().map(Timestamp::as_millisecond);
    Ok(Run {
        started_ms: milliseconds(&it.started_at)?,
        ended_ms: milliseconds(&it.ended_at)?,
        program: it.program,
        pid: it.pid,
        pid_namespace: namespace(it.pid_namespace),
        version: it.version,
        doing: it.doing,
        outcome: it.outcome,
        exit_code: Some(it.exit_code.into()),
        peak_rss_bytes: it.peak_rss_bytes,
        rss_bytes: it.rss_bytes,
        allocated_bytes: it.allocated_bytes,
        boards: Some(it.boards.into()),
        recorded: true,
    })
}

/// A record that is not in the history yet.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) run: Result<Run, RecordError>,
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// It may be readable later.
    #[error(transparent)]
    Unreadable(FsError),
    #[error("invalid run record {}: {why}", path.display())]
    Invalid { path: PathBuf, why: String },
}

/// The records in the runtime folder, the newest first.
pub(crate) fn unread_records(runtime_dir: &Path) -> Result<Vec<Found>, FsError> {
    let is_record = |path: &PathBuf| path.extension().is_some_and(|it| it == "json") && !is_hidden(path);
    let mut paths: Vec<PathBuf> = fs::list(&runtime_dir.join("runs"))?.into_iter().filter(is_record).collect();
    paths.sort_by_cached_key(|path| Reverse(started(path)));
    paths.truncate(MAX_RECORDS);
    Ok(paths.into_iter().filter_map(read).collect())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// The start time in the name of a record.
fn started(path: &Path) -> u64 {
    let stem = path.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
    stem.rsplit_once('-').and_then(|(_, started)| started.parse().ok()).unwrap_or(0)
}

/// `None` if another process has imported it meanwhile.
fn read(path: PathBuf) -> Option<Found> {
    let mut bytes = Vec::new();
    let invalid = |why: String| RecordError::Invalid { path: path.clone(), why };
    let run = match fs::read_into(&path, &mut bytes, MAX_BYTES) {
        Ok(None) => return None,
        Err(error) => Err(RecordError::Unreadable(error)),
        Ok(Some(_)) if bytes.len() as u64 > MAX_BYTES => Err(invalid(format!("it has more than {MAX_BYTES} bytes"))),
        Ok(Some(_)) => {
            let record = serde_json::from_slice::<RunRecord>(&bytes).map_err(|error| error.to_string());
            record.and_then(|it| run(it).map_err(|error| error.to_string())).map_err(invalid)
        }
    };
    Some(Found { path, run })
}

/// A pid namespace as it is stored: 0 if unknown.
pub(super) fn namespace(known: Option<u64>) -> i64 {
    known.map_or(0, stored)
}

/// A number as SQLite stores it, whose integers are signed.
pub(super) fn stored(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
