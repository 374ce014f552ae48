//! What a run leaves behind by itself when it ends, so that one that lived between two samples is in the history too.
//!
//! One small file a run, `{runtime_dir}/runs/{program}-{pid}-{start in ms}.json`, with `{pid}.{pid namespace}` in a container;
//! the newest [`MOST`] stay.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::exit::Exit;
use super::memory::{self, Figures};
use super::pid_namespace::{self, pid_namespace};
use crate::runtime::fs::{self, FsError};
use crate::runtime::timestamp;

/// The most records that stay.
pub const MOST: usize = 200;

/// The most bytes of a record.
pub const MAX_BYTES: u64 = 64 << 10;

/// What a run was, and what it held at its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The program's name.
    pub program: String,
    /// Its process id, as it saw it itself.
    pub pid: u32,
    /// The pid namespace which that id is of; none where that is not known.
    #[serde(default)]
    pub pid_namespace: Option<u64>,
    /// Its version.
    pub version: String,
    /// What it was started to do.
    pub doing: String,
    /// When it began, in RFC 3339.
    pub started_at: String,
    /// When it ended, in RFC 3339.
    pub ended_at: String,
    /// How long that was.
    pub seconds: f64,
    /// How it ended, in a word or two.
    pub outcome: String,
    /// Its exit code.
    pub exit_code: u8,
    /// The most it ever had in memory, by the kernel's account.
    pub peak_rss_bytes: u64,
    /// What it had in memory at its end.
    pub rss_bytes: u64,
    /// What it had allocated at its end.
    pub allocated_bytes: u64,
    /// Counts of boards: what the program has to say of them.
    #[serde(default)]
    pub boards: Map<String, Value>,
}

/// What a program knows of its run from the beginning.
#[derive(Debug, Clone)]
pub struct Run {
    /// The program's name.
    pub program: &'static str,
    /// What it was started to do.
    pub doing: String,
    /// When it began.
    pub started: SystemTime,
}

impl Run {
    /// The record of this run of this process, which ends now after so long.
    #[must_use]
    pub fn ended(
        &self,
        took: Duration,
        outcome: impl Into<String>,
        exit: Exit,
        figures: &Figures,
        boards: Map<String, Value>,
    ) -> RunRecord {
        RunRecord {
            program: self.program.to_owned(),
            pid: std::process::id(),
            pid_namespace: pid_namespace(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            doing: self.doing.clone(),
            started_at: timestamp(self.started),
            // By the steady clock: the other may have been set meanwhile.
            ended_at: timestamp(self.started.checked_add(took).unwrap_or(self.started)),
            seconds: took.as_secs_f64(),
            outcome: outcome.into(),
            exit_code: exit.code(),
            peak_rss_bytes: figures.peak_rss_bytes,
            rss_bytes: figures.rss_bytes,
            allocated_bytes: figures.allocated_bytes,
            boards,
        }
    }

    /// Leaves the record of this run, without which it would be taken for killed. A run does not fail for want of it.
    pub fn leave(
        &self,
        took: Duration,
        outcome: impl Into<String>,
        exit: Exit,
        boards: Map<String, Value>,
        runtime_dir: &Path,
    ) {
        let figures =
            memory::figures().inspect_err(|error| tracing::warn!(%error, "no memory figures")).unwrap_or_default();
        if let Err(error) = self.ended(took, outcome, exit, &figures, boards).leave(runtime_dir) {
            tracing::warn!(%error, "this run leaves no record");
        }
    }
}

impl RunRecord {
    /// Writes the record, and removes the oldest where there are more than [`MOST`].
    ///
    /// # Errors
    /// When the folder is someone else's or others can write to it, or the file system refuses.
    pub fn leave(&self, runtime_dir: &Path) -> Result<PathBuf, FsError> {
        fs::private_folder(runtime_dir)?;
        let folder = folder(runtime_dir);
        fs::private_folder(&folder)?;
        let started_ms = self.started_at.parse().map_or(0, jiff::Timestamp::as_millisecond).max(0);
        let whose = whose(self.pid, self.pid_namespace);
        let path = folder.join(format!("{}-{whose}-{started_ms}.json", self.program));
        fs::write_whole(&path, self.to_json().as_bytes())?;
        tidy(&folder, MOST)?;
        Ok(path)
    }

    fn to_json(&self) -> String {
        // Texts and numbers only: there is nothing in it that JSON has not.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn folder(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("runs")
}

/// A process in a file's name: in containers that share the folder there are others of its number.
fn whose(pid: u32, namespace: Option<u64>) -> String {
    match namespace {
        None | Some(pid_namespace::INITIAL) => pid.to_string(),
        Some(other) => format!("{pid}.{other}"),
    }
}

/// When the run began, in ms since 1970, and whose record it is, by the file's name; none for other files.
fn name_of(path: &Path) -> Option<(u64, &str)> {
    let (whose, started) = path.file_name()?.to_str()?.strip_suffix(".json")?.rsplit_once('-')?;
    let (program, process) = whose.rsplit_once('-')?;
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    let is_process = process.split_once('.').map_or(is_number(process), |(pid, ns)| is_number(pid) && is_number(ns));
    if program.is_empty() || program.starts_with('.') || !is_process {
        return None;
    }
    Some((started.parse().ok()?, process))
}

/// The records of the folder, the oldest first.
fn records(folder: &Path) -> Result<Vec<PathBuf>, FsError> {
    let mut records: Vec<PathBuf> = fs::list(folder)?.into_iter().filter(|path| name_of(path).is_some()).collect();
    records.sort_by_cached_key(|path| name_of(path).map(|(started, _)| started));
    Ok(records)
}

/// Removes the oldest records where there are more than `limit`, and what writers that were killed left half written.
fn tidy(folder: &Path, limit: usize) -> Result<(), FsError> {
    let records = records(folder)?;
    for path in &records[..records.len().saturating_sub(limit)] {
        fs::remove(path)?;
    }
    let own = pid_namespace();
    let mut others = Vec::new();
    for path in fs::list(folder)? {
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let target = name.strip_prefix('.').and_then(|it| it.strip_suffix(".tmp")).map(Path::new);
        let Some((started, process)) = target.and_then(name_of) else { continue };
        let pid = process.split_once('.').map_or(process, |(pid, _)| pid);
        if pid.parse().ok().map(|pid| whose(pid, own)).as_deref() != Some(process) {
            // Of another namespace: whether its writer is alive cannot be seen here.
            others.push((started, path));
        } else if !Path::new("/proc").join(pid).is_dir() {
            fs::remove(&path)?;
        }
    }
    others.sort_unstable();
    for (_, path) in &others[..others.len().saturating_sub(limit)] {
        fs::remove(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// All records there are, the oldest first.
    fn read_all(runtime_dir: &Path) -> Vec<RunRecord> {
        let read = |path: &PathBuf| serde_json::from_str(&fs::read_text(path, MAX_BYTES).unwrap()).unwrap();
        records(&folder(runtime_dir)).unwrap().iter().map(read).collect()
    }

    fn run(second: u64) -> Run {
        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_406_400 + second);
        Run { program: "r3e-test", doing: "loading".to_owned(), started }
    }

    fn record(run: &Run) -> RunRecord {
        let figures = Figures { peak_rss_bytes: 90, rss_bytes: 40, allocated_bytes: 30, ..Figures::default() };
        let boards = json!({"fetched": 12, "failed": 1}).as_object().unwrap().clone();
        run.ended(Duration::from_millis(2500), "some boards failed", Exit::SomeBoardsFailed, &figures, boards)
    }

    #[test]
    fn it_says_what_the_run_was() {
        let temp = tempfile::tempdir().unwrap();
        let run = run(0);
        let path = record(&run).leave(temp.path()).unwrap();
        let pid = std::process::id();
        let whose = whose(pid, pid_namespace());
        assert_eq!(path, temp.path().join(format!("runs/r3e-test-{whose}-1795406400000.json")));
        let text = std::fs::read_to_string(path).unwrap();
        let namespace = format!("\"pid_namespace\": {}", pid_namespace().unwrap());
        let text = text.replace(&namespace, "\"pid_namespace\": NS");
        insta::assert_snapshot!(text.replace(&format!("\"pid\": {pid}"), "\"pid\": PID"), @r#"
        {
          "program": "r3e-test",
          "pid": PID,
          "pid_namespace": NS,
          "version": "0.1.0",
          "doing": "loading",
          "started_at": "2026-11-23T04:00:00Z",
          "ended_at": "2026-11-23T04:00:02.5Z",
          "seconds": 2.5,
          "outcome": "some boards failed",
          "exit_code": 3,
          "peak_rss_bytes": 90,
          "rss_bytes": 40,
          "allocated_bytes": 30,
          "boards": {
            "failed": 1,
            "fetched": 12
          }
        }
        "#);
        assert_eq!(read_all(temp.path()), [record(&run)]);
    }

    #[test]
    fn the_newest_stay_and_files_that_are_no_records() {
        let temp = tempfile::tempdir().unwrap();
        for second in 0..5 {
            let run = run(second);
            record(&run).leave(temp.path()).unwrap();
        }
        let folder = temp.path().join("runs");
        let others = ["README.txt", "notes.json", "x-y.json"].map(|name| folder.join(name));
        for other in &others {
            std::fs::write(other, "").unwrap();
        }
        let half = |pid, namespace| folder.join(format!(".r3e-test-{}-1.json.tmp", whose(pid, namespace)));
        let dead = half(u32::MAX, pid_namespace());
        let alive = half(std::process::id(), pid_namespace());
        let elsewhere = half(u32::MAX, Some(7));
        for half in [&dead, &alive, &elsewhere] {
            std::fs::write(half, "{").unwrap();
        }
        tidy(&folder, 3).unwrap();
        let started: Vec<String> = read_all(temp.path()).into_iter().map(|it| it.started_at).collect();
        assert_eq!(started, ["2026-11-23T04:00:02Z", "2026-11-23T04:00:03Z", "2026-11-23T04:00:04Z"]);
        assert!(others.iter().all(|it| it.exists()) && alive.exists() && !dead.exists());
        assert!(elsewhere.exists(), "whether that one's writer is alive cannot be seen here");
    }

    #[test]
    fn two_processes_of_one_number_in_two_containers_leave_a_record_each() {
        let temp = tempfile::tempdir().unwrap();
        for namespace in [None, Some(5), Some(6)] {
            RunRecord { pid: 1, pid_namespace: namespace, ..record(&run(0)) }.leave(temp.path()).unwrap();
        }
        let namespaces: Vec<_> = read_all(temp.path()).into_iter().map(|it| it.pid_namespace).collect();
        assert_eq!(namespaces, [None, Some(5), Some(6)]);
    }

    #[test]
    fn a_folder_of_someone_elses_is_not_written_to() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::set_permissions(temp.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let run = run(0);
        let error = record(&run).leave(temp.path()).unwrap_err().to_string();
        assert!(error.contains("others can write to it"), "{error}");
    }
}
