//! The record that a run writes when it ends, so that a run between two samples of the monitor is in the history too.
//!
//! Each record is a file `{runtime_dir}/runs/{program}-{pid}-{start in ms}.json`, with `{pid}.{pid namespace}` in a container. The newest
//! [`MAX_RECORDS`] stay.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::exit::Exit;
use super::memory::{self, Figures};
use super::pid_namespace::{self, pid_namespace};
use crate::runtime::fs::{self, FsError};
use crate::runtime::timestamp;

/// The maximum number of records.
pub const MAX_RECORDS: usize = 200;

/// The maximum size of a record.
pub const MAX_BYTES: u64 = 64 << 10;

/// A finished run, with its memory figures at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The program's name.
    pub program: String,
    /// Its process id, in its own pid namespace.
    pub pid: u32,
    /// That pid namespace; `None` if unknown.
    #[serde(default)]
    pub pid_namespace: Option<u64>,
    /// Its version.
    pub version: String,
    /// What it did.
    pub doing: String,
    /// When it started, in RFC 3339.
    pub started_at: String,
    /// When it ended, in RFC 3339.
    pub ended_at: String,
    /// How long it took.
    pub seconds: f64,
    /// The outcome, in a word or two.
    pub outcome: String,
    /// Its exit code.
    pub exit_code: u8,
    /// Its peak resident memory (`VmHWM`); 0 if unknown, as are the next two.
    pub peak_rss_bytes: u64,
    /// Its resident memory at the end (`VmRSS`).
    pub rss_bytes: u64,
    /// Its allocated memory at the end.
    pub allocated_bytes: u64,
    /// Its live tasks at the end; 0 if unknown, as are the next three.
    #[serde(default)]
    pub tasks: u64,
    /// Its threads at the end.
    #[serde(default)]
    pub threads: u64,
    /// Its open file descriptors at the end.
    #[serde(default)]
    pub open_fds: u64,
    /// Its TCP connections at the end.
    #[serde(default)]
    pub connections: u64,
    /// Numbers of boards, if it works on boards.
    #[serde(default)]
    pub boards: Map<String, Value>,
}

/// Writes the [`RunRecord`] of this process when its run ends.
#[derive(Debug, Clone)]
pub struct RunRecorder {
    /// The program's name.
    pub program: &'static str,
    /// What it does.
    pub doing: String,
    /// When it started.
    pub started: SystemTime,
}

impl RunRecorder {
    fn ended(
        &self,
        took: Duration,
        outcome: impl Into<String>,
        exit: Exit,
        (figures, tasks): (&Figures, usize),
        boards: Map<String, Value>,
    ) -> RunRecord {
        RunRecord {
            program: self.program.to_owned(),
            pid: std::process::id(),
            pid_namespace: pid_namespace(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            doing: self.doing.clone(),
            started_at: timestamp(self.started),
            // The clock may have been set meanwhile.
            ended_at: timestamp(self.started.checked_add(took).unwrap_or(self.started)),
            seconds: took.as_secs_f64(),
            outcome: outcome.into(),
            exit_code: exit.code(),
            peak_rss_bytes: figures.peak_rss_bytes,
            rss_bytes: figures.rss_bytes,
            allocated_bytes: figures.allocated_bytes,
            tasks: tasks as u64,
            threads: figures.threads,
            open_fds: figures.open_fds,
            connections: figures.connections,
            boards,
        }
    }

    /// Writes the record of this run, which ends now, took that long and leaves that many tasks. Without a record, the monitor takes a
    /// run for killed. A failure is only logged.
    pub fn record(
        &self,
        took: Duration,
        outcome: impl Into<String>,
        exit: Exit,
        boards: Map<String, Value>,
        tasks: usize,
        runtime_dir: &Path,
    ) {
        let figures = memory::figures()
            .inspect_err(|error| tracing::warn!(%error, "cannot determine the memory in use"))
            .unwrap_or_default();
        if let Err(error) = self.ended(took, outcome, exit, (&figures, tasks), boards).write(runtime_dir) {
            tracing::warn!(%error, "cannot write the record of this run");
        }
    }
}

impl RunRecord {
    /// Writes the record, and removes the oldest ones beyond [`MAX_RECORDS`].
    ///
    /// # Errors
    /// If the folder belongs to another user, others can write to it, or the file system fails.
    pub fn write(&self, runtime_dir: &Path) -> Result<PathBuf, FsError> {
        fs::private_folder(runtime_dir)?;
        let folder = folder(runtime_dir);
        fs::private_folder(&folder)?;
        let started_ms = self.started_ms();
        let process = process_name(self.pid, self.pid_namespace);
        let path = folder.join(format!("{}-{process}-{started_ms}.json", self.program));
        fs::write_whole(&path, self.to_json().as_bytes())?;
        remove_old(&folder, MAX_RECORDS)?;
        Ok(path)
    }

    /// Writes the record for another process, unless that has written one itself. One that the monitor has already read is missed.
    ///
    /// # Errors
    /// As [`RunRecord::write`].
    pub fn write_unless_recorded(&self, runtime_dir: &Path) -> Result<(), FsError> {
        let prefix = format!("{}-{}-", self.program, process_name(self.pid, self.pid_namespace));
        let folder = folder(runtime_dir);
        let own = |path: &PathBuf| {
            let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
            name.starts_with(&prefix) && parse_name(path).is_some_and(|(started, _)| started >= self.started_ms())
        };
        if records(&folder)?.iter().any(own) { Ok(()) } else { self.write(runtime_dir).map(drop) }
    }

    /// When it started, in ms since 1970.
    fn started_ms(&self) -> u64 {
        let started = self.started_at.parse().map_or(0, jiff::Timestamp::as_millisecond);
        u64::try_from(started).unwrap_or(0)
    }

    fn to_json(&self) -> String {
        // Strings and numbers always have a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn folder(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("runs")
}

/// The process in a file's name. Containers that share the folder may have equal process ids.
fn process_name(pid: u32, namespace: Option<u64>) -> String {
    match namespace {
        None | Some(pid_namespace::INITIAL) => pid.to_string(),
        Some(other) => format!("{pid}.{other}"),
    }
}

/// The start in ms since 1970 and the process, from the name of a record; `None` for other files.
fn parse_name(path: &Path) -> Option<(u64, &str)> {
    let (run, started) = path.file_name()?.to_str()?.strip_suffix(".json")?.rsplit_once('-')?;
    let (program, process) = run.rsplit_once('-')?;
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    let is_process = process.split_once('.').map_or(is_number(process), |(pid, ns)| is_number(pid) && is_number(ns));
    if program.is_empty() || program.starts_with('.') || !is_process {
        return None;
    }
    Some((started.parse().ok()?, process))
}

/// The records in the folder, oldest first.
fn records(folder: &Path) -> Result<Vec<PathBuf>, FsError> {
    let mut records: Vec<PathBuf> = fs::list(folder)?.into_iter().filter(|path| parse_name(path).is_some()).collect();
    records.sort_by_cached_key(|path| parse_name(path).map(|(started, _)| started));
    Ok(records)
}

/// Removes the oldest records beyond `limit`, and temporary files of writers that were killed.
fn remove_old(folder: &Path, limit: usize) -> Result<(), FsError> {
    let records = records(folder)?;
    for path in &records[..records.len().saturating_sub(limit)] {
        fs::remove(path)?;
    }
    let own = pid_namespace();
    let mut others = Vec::new();
    for path in fs::list(folder)? {
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let target = name.strip_prefix('.').and_then(|it| it.strip_suffix(".tmp")).map(Path::new);
        let Some((started, process)) = target.and_then(parse_name) else { continue };
        let pid = process.split_once('.').map_or(process, |(pid, _)| pid);
        if pid.parse().ok().map(|pid| process_name(pid, own)).as_deref() != Some(process) {
            // In another namespace, it is unknown whether the writer is alive.
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

    /// All records, oldest first.
    fn read_all(runtime_dir: &Path) -> Vec<RunRecord> {
        let read = |path: &PathBuf| serde_json::from_str(&fs::read_text(path, MAX_BYTES).unwrap()).unwrap();
        records(&folder(runtime_dir)).unwrap().iter().map(read).collect()
    }

    fn run(second: u64) -> RunRecorder {
        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_406_400 + second);
        RunRecorder { program: "r3e-test", doing: "loading".to_owned(), started }
    }

    fn record(run: &RunRecorder) -> RunRecord {
        let figures = Figures {
            peak_rss_bytes: 90,
            rss_bytes: 40,
            allocated_bytes: 30,
            threads: 8,
            open_fds: 12,
            connections: 1,
            ..Figures::default()
        };
        let boards = json!({"fetched": 12, "failed": 1}).as_object().unwrap().clone();
        run.ended(Duration::from_millis(2500), "some boards failed", Exit::SomeBoardsFailed, (&figures, 2), boards)
    }

    #[test]
    fn the_record_describes_the_run() {
        let temp = tempfile::tempdir().unwrap();
        let run = run(0);
        let path = record(&run).write(temp.path()).unwrap();
        let pid = std::process::id();
        let process = process_name(pid, pid_namespace());
        assert_eq!(path, temp.path().join(format!("runs/r3e-test-{process}-1795406400000.json")));
        let text = std::fs::read_to_string(path).unwrap();
        let namespace = format!("\"pid_namespace\": {}", pid_namespace().unwrap());
        let text = text.replace(&namespace, "\"pid_namespace\": NS").replace(env!("CARGO_PKG_VERSION"), "VERSION");
        insta::assert_snapshot!(text.replace(&format!("\"pid\": {pid}"), "\"pid\": PID"), @r#"
        {
          "program": "r3e-test",
          "pid": PID,
          "pid_namespace": NS,
          "version": "VERSION",
          "doing": "loading",
          "started_at": "2026-11-23T04:00:00Z",
          "ended_at": "2026-11-23T04:00:02.5Z",
          "seconds": 2.5,
          "outcome": "some boards failed",
          "exit_code": 3,
          "peak_rss_bytes": 90,
          "rss_bytes": 40,
          "allocated_bytes": 30,
          "tasks": 2,
          "threads": 8,
          "open_fds": 12,
          "connections": 1,
          "boards": {
            "failed": 1,
            "fetched": 12
          }
        }
        "#);
        assert_eq!(read_all(temp.path()), [record(&run)]);
    }

    #[test]
    fn the_newest_records_and_other_files_stay() {
        let temp = tempfile::tempdir().unwrap();
        for second in 0..5 {
            let run = run(second);
            record(&run).write(temp.path()).unwrap();
        }
        let folder = temp.path().join("runs");
        let others = ["README.txt", "notes.json", "x-y.json"].map(|name| folder.join(name));
        for other in &others {
            std::fs::write(other, "").unwrap();
        }
        let half = |pid, namespace| folder.join(format!(".r3e-test-{}-1.json.tmp", process_name(pid, namespace)));
        let dead = half(u32::MAX, pid_namespace());
        let alive = half(std::process::id(), pid_namespace());
        let elsewhere = half(u32::MAX, Some(7));
        for half in [&dead, &alive, &elsewhere] {
            std::fs::write(half, "{").unwrap();
        }
        remove_old(&folder, 3).unwrap();
        let started: Vec<String> = read_all(temp.path()).into_iter().map(|it| it.started_at).collect();
        assert_eq!(started, ["2026-11-23T04:00:02Z", "2026-11-23T04:00:03Z", "2026-11-23T04:00:04Z"]);
        assert!(others.iter().all(|it| it.exists()) && alive.exists() && !dead.exists());
        assert!(elsewhere.exists(), "its writer may be alive");
    }

    #[test]
    fn equal_process_ids_in_two_containers_give_two_records() {
        let temp = tempfile::tempdir().unwrap();
        for namespace in [None, Some(5), Some(6)] {
            RunRecord { pid: 1, pid_namespace: namespace, ..record(&run(0)) }.write(temp.path()).unwrap();
        }
        let namespaces: Vec<_> = read_all(temp.path()).into_iter().map(|it| it.pid_namespace).collect();
        assert_eq!(namespaces, [None, Some(5), Some(6)]);
    }

    #[test]
    fn a_process_that_has_written_a_record_gets_no_second_one() {
        let temp = tempfile::tempdir().unwrap();
        let count = || read_all(temp.path()).len();
        // Of an earlier process with that id, and of another program.
        record(&run(0)).write(temp.path()).unwrap();
        RunRecord { program: "r3e-test-b".to_owned(), ..record(&run(9)) }.write(temp.path()).unwrap();
        record(&run(5)).write_unless_recorded(temp.path()).unwrap();
        assert_eq!(count(), 3);
        record(&run(3)).write_unless_recorded(temp.path()).unwrap();
        assert_eq!(count(), 3, "it has written one");
        record(&run(3)).write_unless_recorded(&temp.path().join("new")).unwrap();
        assert_eq!(read_all(&temp.path().join("new")).len(), 1);
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::set_permissions(temp.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let run = run(0);
        let error = record(&run).write(temp.path()).unwrap_err().to_string();
        assert!(error.contains("others can write to it"), "{error}");
    }
}
