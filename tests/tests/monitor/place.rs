//! Shared by these tests: a folder for a monitor, records as jobs leave them, and a reader of the history that uses plain
//! SQL.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use r3e_tests::harness::{Invocation, Place, Running, events_at, events_with};
use rusqlite::Connection;
use serde_json::json;

/// A monitor about to run there.
pub(crate) fn monitor(place: &Place, arguments: &[&str]) -> Invocation {
    let bare = Invocation::new("r3e-monitor", &place.path(""));
    let bare = bare.set("runtime.dir", &place.path("run").to_string_lossy());
    let bare = bare.set("log.format", "json").set("monitor.history", &history(place).to_string_lossy());
    bare.arguments(arguments)
}

/// Its history.
pub(crate) fn history(place: &Place) -> PathBuf {
    place.path("history/monitor.db")
}

/// Writes a file into the folder of the archive's files.
pub(crate) fn put_archive(place: &Place, name: &str, text: &str) {
    let folder = place.cache().join("archive");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
}

/// The archive's status after 30 nights.
pub(crate) const ARCHIVE_STATUS: &str = r#"{"recorded_at":"2026-11-02T04:30:11Z","nights":30,"runs":31,"versions":1234,
    "rows":123456,"bytes":7654321,"last_run":{"recorded_at":"2026-11-02T04:30:11Z","boards":120,"rows":30123,"gone":0,
    "damaged":0}}"#;

/// A watch that is very busy.
pub(crate) fn busy_watch(place: &Place) -> Invocation {
    monitor(place, &["watch"]).set("monitor.every", "2ms").set("memory.purge_every", "20ms")
}

/// Starts it with its log in a file.
pub(crate) fn logged(monitor: Invocation) -> Running {
    let log = monitor.folder().join("log");
    monitor.stderr_to(log).spawn()
}

/// What was logged so far.
pub(crate) fn log(place: &Place) -> String {
    fs::read_to_string(place.path("log")).unwrap_or_default()
}

/// How many errors were logged so far.
pub(crate) fn errors(place: &Place) -> usize {
    events_at(&log(place), "ERROR").len()
}

/// How often it has purged: the line that operators know.
pub(crate) fn purges(place: &Place) -> usize {
    log(place).matches("💾 Periodic GC: Alloc=").count()
}

/// Whether a watch has begun.
pub(crate) fn is_watching(place: &Place) -> bool {
    !events_with(&log(place), &["history", "every", "purge_every"]).is_empty()
}

/// Stops a daemon.
pub(crate) fn stopped(running: Running) {
    running.signal("TERM");
    let _ended = running.wait().with_code(0);
}

/// The folder of what jobs leave.
pub(crate) fn runs(place: &Place) -> PathBuf {
    place.path("run/runs")
}

/// Leaves the record of a run of last week, as a job does: whole, or not at all. A run has its number as process id and peak.
pub(crate) fn leave_record(place: &Place, number: u32) {
    let folder = runs(place);
    // As a program makes it, whatever may be usual here: a folder that others can write to is refused.
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).unwrap();
    let started = SystemTime::now() - Duration::from_hours(7 * 24) + Duration::from_secs(number.into());
    let ended = started + Duration::from_secs(90);
    let started_ms = started.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let text = |moment| humantime::format_rfc3339_millis(moment).to_string();
    let record = json!({
        "program": "r3e-loader", "pid": number, "version": "0.1.0", "doing": "load",
        "started_at": text(started), "ended_at": text(ended), "seconds": 90.0,
        "outcome": "done", "exit_code": 0, "peak_rss_bytes": number, "rss_bytes": 1, "allocated_bytes": 1,
        "boards": {"fetched": number, "failed": 0},
    });
    let path = folder.join(format!("r3e-loader-{number}-{started_ms}.json"));
    let hidden = folder.join(format!(".r3e-loader-{number}.tmp"));
    fs::write(&hidden, record.to_string()).unwrap();
    fs::rename(hidden, path).unwrap();
}

/// How many records still wait.
pub(crate) fn waiting(place: &Place) -> usize {
    fs::read_dir(runs(place)).map_or(0, Iterator::count)
}

/// Looks at the whole history, checks that it is sound, and gives the process ids of the loader's runs in it.
pub(crate) fn sound_history(place: &Place) -> Vec<u32> {
    let database = Connection::open(history(place)).unwrap();
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let violations: Vec<String> = rows(&database, "SELECT \"table\" FROM pragma_foreign_key_check");
    assert!(violations.is_empty(), "{violations:?}");
    if count(&database, "SELECT count(*) FROM sqlite_schema WHERE name = 'runs'") == 0 {
        return Vec::new();
    }
    rows(&database, "SELECT pid FROM runs WHERE program = 'r3e-loader' AND outcome = 'done' ORDER BY pid")
}

/// A number that the database tells.
pub(crate) fn count(database: &Connection, sql: &str) -> i64 {
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn rows<T: rusqlite::types::FromSql>(database: &Connection, sql: &str) -> Vec<T> {
    let mut statement = database.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}
