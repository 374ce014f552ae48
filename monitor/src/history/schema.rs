//! The tables, their version, and the migration from older ones.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::time::Duration;

use r3e_common::runtime::fs;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::{At as _, HistoryError};

/// The application id in the file, `r3em`, which `file(1)` shows.
pub(super) const APPLICATION: i64 = 0x7233_656d;

/// The migration from each version to the next. A released step is never changed.
pub(super) const STEPS: &[&str] = &[
    "
    -- A process that was seen: its number alone comes again. The figures are those of its last sample.
    CREATE TABLE processes (
        id INTEGER PRIMARY KEY,
        program TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started_ms INTEGER NOT NULL,
        start_ticks INTEGER,
        version TEXT NOT NULL,
        seen_ms INTEGER NOT NULL,
        phase TEXT NOT NULL,
        peak_rss_bytes INTEGER NOT NULL,
        rss_bytes INTEGER NOT NULL,
        allocated_bytes INTEGER NOT NULL,
        ended INTEGER NOT NULL DEFAULT 0,
        UNIQUE (program, pid, started_ms)
    ) STRICT;
    CREATE INDEX processes_alive ON processes (ended) WHERE ended = 0;
    -- In the order of time: new ones come at the end, old ones go at the beginning.
    CREATE TABLE samples (
        at_ms INTEGER NOT NULL,
        process INTEGER NOT NULL REFERENCES processes (id),
        after_purge INTEGER NOT NULL,
        phase TEXT NOT NULL,
        allocated_bytes INTEGER NOT NULL,
        active_bytes INTEGER NOT NULL,
        metadata_bytes INTEGER NOT NULL,
        resident_bytes INTEGER NOT NULL,
        mapped_bytes INTEGER NOT NULL,
        retained_bytes INTEGER NOT NULL,
        thread_cache_bytes INTEGER NOT NULL,
        rss_bytes INTEGER NOT NULL,
        peak_rss_bytes INTEGER NOT NULL,
        pss_bytes INTEGER,
        limit_bytes INTEGER,
        threads INTEGER NOT NULL,
        tasks INTEGER NOT NULL,
        open_fds INTEGER NOT NULL,
        connections INTEGER NOT NULL,
        purges INTEGER NOT NULL,
        fetched INTEGER,
        failed INTEGER,
        total INTEGER,
        PRIMARY KEY (at_ms, process, after_purge)
    ) STRICT, WITHOUT ROWID;
    -- What a run came to: by its own record, or, where it left none, by what was last seen of it (recorded = 0).
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        program TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started_ms INTEGER NOT NULL,
        ended_ms INTEGER NOT NULL,
        version TEXT NOT NULL,
        doing TEXT NOT NULL,
        outcome TEXT NOT NULL,
        exit_code INTEGER,
        peak_rss_bytes INTEGER NOT NULL,
        rss_bytes INTEGER NOT NULL,
        allocated_bytes INTEGER NOT NULL,
        boards TEXT,
        recorded INTEGER NOT NULL,
        UNIQUE (program, pid, started_ms)
    ) STRICT;
    CREATE INDEX runs_ended ON runs (ended_ms);
",
    "
    -- What is looked at to tell a leak from noise: one sample in a hundred. All that is asked for is in it, for those samples
    -- lie far from each other, and a watch would have a page of the file in memory for each.
    CREATE INDEX samples_after_purge ON samples (process, at_ms, allocated_bytes, thread_cache_bytes, rss_bytes, threads,
        tasks, open_fds, connections) WHERE after_purge = 1;
",
    "
    -- None in samples of earlier versions, and where the kernel does not report it.
    ALTER TABLE samples ADD COLUMN rss_anon_bytes INTEGER;
    -- Containers that share a folder have processes of the same number, often started within the same second. 0 where the
    -- namespace is not known.
    CREATE TABLE new_processes (
        id INTEGER PRIMARY KEY,
        program TEXT NOT NULL,
        pid INTEGER NOT NULL,
        pid_namespace INTEGER NOT NULL DEFAULT 0,
        started_ms INTEGER NOT NULL,
        start_ticks INTEGER,
        version TEXT NOT NULL,
        seen_ms INTEGER NOT NULL,
        phase TEXT NOT NULL,
        peak_rss_bytes INTEGER NOT NULL,
        rss_bytes INTEGER NOT NULL,
        allocated_bytes INTEGER NOT NULL,
        ended INTEGER NOT NULL DEFAULT 0,
        UNIQUE (program, pid, pid_namespace, started_ms)
    ) STRICT;
    INSERT INTO new_processes SELECT id, program, pid, 0, started_ms, start_ticks, version, seen_ms, phase, peak_rss_bytes,
        rss_bytes, allocated_bytes, ended FROM processes;
    DROP TABLE processes;
    ALTER TABLE new_processes RENAME TO processes;
    CREATE INDEX processes_alive ON processes (ended) WHERE ended = 0;
    CREATE TABLE new_runs (
        id INTEGER PRIMARY KEY,
        program TEXT NOT NULL,
        pid INTEGER NOT NULL,
        pid_namespace INTEGER NOT NULL DEFAULT 0,
        started_ms INTEGER NOT NULL,
        ended_ms INTEGER NOT NULL,
        version TEXT NOT NULL,
        doing TEXT NOT NULL,
        outcome TEXT NOT NULL,
        exit_code INTEGER,
        peak_rss_bytes INTEGER NOT NULL,
        rss_bytes INTEGER NOT NULL,
        allocated_bytes INTEGER NOT NULL,
        boards TEXT,
        recorded INTEGER NOT NULL,
        UNIQUE (program, pid, pid_namespace, started_ms)
    ) STRICT;
    INSERT INTO new_runs SELECT id, program, pid, 0, started_ms, ended_ms, version, doing, outcome, exit_code, peak_rss_bytes,
        rss_bytes, allocated_bytes, boards, recorded FROM runs;
    DROP TABLE runs;
    ALTER TABLE new_runs RENAME TO runs;
    CREATE INDEX runs_ended ON runs (ended_ms);
    -- The moment up to which old samples are judged: one row, see age.rs.
    CREATE TABLE age (now_ms INTEGER NOT NULL) STRICT;
",
];

/// How long to wait for another writer: a migration, or a second monitor.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

fn version_of(steps: &[&str]) -> i64 {
    i64::try_from(steps.len()).unwrap_or(i64::MAX)
}

pub(super) fn version() -> i64 {
    version_of(STEPS)
}

/// Opens the history for writing, creates it if there is none, and migrates an older one.
pub(super) fn open_to_write(path: &Path) -> Result<Connection, HistoryError> {
    open_with_steps(path, STEPS)
}

/// [`open_to_write`] of a program that knows these steps.
pub(super) fn open_with_steps(path: &Path, steps: &[&str]) -> Result<Connection, HistoryError> {
    fs::create_folders(fs::parent(path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut database = Connection::open_with_flags(path, flags).at("open", path)?;
    configure(&database).at("open", path)?;
    // Before anything is written: the file may be another program's.
    let version = check(&database, path, steps)?;
    // Every commit is synced, as a run's record is deleted after its import. The log is kept small, as it is read whole after a
    // crash.
    database
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 256;")
        .at("set up", path)?;
    if version < version_of(steps) {
        migrate(&mut database, steps).at("bring up to date", path)?;
    }
    Ok(database)
}

/// Opens the history for reading, and migrates an older one. `None` if there is no file, or nothing was ever written.
pub(super) fn open_to_read(path: &Path) -> Result<Option<Connection>, HistoryError> {
    if fs::modified(path)?.is_none() {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags).at("open", path)?;
    configure(&database).at("open", path)?;
    match check(&database, path, STEPS)? {
        0 => Ok(None),
        current if current == version() => Ok(Some(database)),
        _older if is_kept(path) => Err(HistoryError::KeptByOlder { path: path.to_owned() }),
        _older => open_to_write(path).map(Some),
    }
}

/// The file beside the history that a watch locks.
pub(crate) fn lock_path(history: &Path) -> PathBuf {
    let name = history.file_name().unwrap_or_default().to_string_lossy();
    history.with_file_name(format!(".{name}.lock"))
}

/// Whether a watch writes this history, as far as is known.
fn is_kept(history: &Path) -> bool {
    let lock = fs::open_lock(&lock_path(history));
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Bounds waiting and memory.
fn configure(database: &Connection) -> rusqlite::Result<()> {
    database.busy_timeout(BUSY_TIMEOUT)?;
    // Checking foreign keys would scan all samples for each process dropped, and only those without samples are dropped.
    database.execute_batch("PRAGMA cache_size = -512; PRAGMA foreign_keys = OFF;")
}

/// Returns the version, if this program may use the history.
fn check(database: &Connection, path: &Path, steps: &[&str]) -> Result<i64, HistoryError> {
    let number = |pragma: &str| database.query_row(pragma, [], |row| row.get::<_, i64>(0)).at("read", path);
    let (version, application) = (number("PRAGMA user_version")?, number("PRAGMA application_id")?);
    let is_empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
    if application != APPLICATION && !(is_empty && application == 0 && version == 0) {
        return Err(HistoryError::Foreign { path: path.to_owned() });
    }
    let known = version_of(steps);
    if version > known {
        return Err(HistoryError::Newer { path: path.to_owned(), found: version, known });
    }
    Ok(version)
}

/// Takes all missing steps at once, or none.
fn migrate(database: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have migrated it meanwhile.
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for step in steps.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction
        .execute_batch(&format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {};", steps.len()))?;
    transaction.commit()
}
