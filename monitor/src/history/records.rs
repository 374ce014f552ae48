//! What finished jobs leave: `{runtime.dir}/runs/{program}-{pid}-{started}.json`, one file a run.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use r3e_common::runtime::fs;
use r3e_common::runtime::fs::FsError;
use r3e_common::runtime::run_record::{MAX_BYTES, RunRecord};
use serde_json::Value;

/// So many records are looked at in one go; the rest waits for the next.
const AT_ONCE: usize = 1000;

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    pub(crate) program: String,
    pub(crate) pid: u32,
    /// 0 where it is not known.
    pub(crate) pid_namespace: i64,
    pub(crate) version: String,
    /// What it was started to do.
    pub(crate) doing: String,
    /// In milliseconds since 1970.
    pub(crate) started_ms: i64,
    /// In milliseconds since 1970; of one that left no record, when it was last seen.
    pub(crate) ended_ms: i64,
    pub(crate) outcome: String,
    /// None where it is not known.
    pub(crate) exit_code: Option<i64>,
    pub(crate) peak_rss_bytes: u64,
    pub(crate) rss_bytes: u64,
    pub(crate) allocated_bytes: u64,
    /// Counts of boards, as the program gave them.
    pub(crate) boards: Option<Value>,
    /// Whether it has left a record itself.
    pub(crate) recorded: bool,
}

/// As a record says it.
///
/// # Errors
/// When a time of it is none.
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

/// A record that is not taken in yet.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its file.
    pub(crate) path: PathBuf,
    /// What it says.
    pub(crate) run: Result<Run, Unusable>,
}

/// Why a record says nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// It may be readable later.
    #[error(transparent)]
    Unreadable(FsError),
    /// It will never be understood.
    #[error("{} is no record of a run: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The records that lie in the runtime folder, the newest ones first.
///
/// # Errors
/// When the folder is there and cannot be read.
pub(crate) fn not_taken_in(runtime_dir: &Path) -> Result<Vec<Found>, FsError> {
    let is_record = |path: &PathBuf| path.extension().is_some_and(|it| it == "json") && !is_hidden(path);
    let mut paths: Vec<PathBuf> = fs::list(&runtime_dir.join("runs"))?.into_iter().filter(is_record).collect();
    paths.sort_by_cached_key(|path| std::cmp::Reverse(started(path)));
    paths.truncate(AT_ONCE);
    Ok(paths.into_iter().filter_map(read).collect())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// When the run began, by the name of its record.
fn started(path: &Path) -> u64 {
    let stem = path.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
    stem.rsplit_once('-').and_then(|(_, started)| started.parse().ok()).unwrap_or(0)
}

/// Reads one; none where another process has taken it in meanwhile.
fn read(path: PathBuf) -> Option<Found> {
    let mut bytes = Vec::new();
    let damaged = |why: String| Unusable::Damaged { path: path.clone(), why };
    let run = match fs::read_into(&path, &mut bytes, MAX_BYTES) {
        Ok(None) => return None,
        Err(error) => Err(Unusable::Unreadable(error)),
        Ok(Some(_)) if bytes.len() as u64 > MAX_BYTES => Err(damaged(format!("it has more than {MAX_BYTES} bytes"))),
        Ok(Some(_)) => {
            let record = serde_json::from_slice::<RunRecord>(&bytes).map_err(|error| error.to_string());
            record.and_then(|it| run(it).map_err(|error| error.to_string())).map_err(damaged)
        }
    };
    Some(Found { path, run })
}

/// A pid namespace as the history has it: 0 for one that is not known.
pub(super) fn namespace(known: Option<u64>) -> i64 {
    known.map_or(0, stored)
}

/// SQLite's integers have a sign; no process holds half of what they can count.
pub(super) fn stored(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
