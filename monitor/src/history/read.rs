//! Reads the history, also while a watch writes it. Each call is one short read, so that none keeps the log from being merged
//! into the file.

use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use serde_json::{Map, Value};

use super::error::{At as _, HistoryError};
use super::records::Run;
use super::schema;

/// Samples read at a time.
const PAGE: u32 = 1000;

/// Upper bound of the rows that users get.
pub(crate) const MAX_CONDENSED: u32 = 1000;

/// The history, opened for reading.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(super) database: Connection,
    pub(super) path: PathBuf,
}

/// One sample, with all its columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SampleRow {
    pub(crate) at_ms: i64,
    process: i64,
    after_purge: bool,
    pub(crate) columns: Map<String, Value>,
}

/// Several samples of one process: the time of the first, and the maximum of each figure unless its name says otherwise.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condensed {
    pub(crate) at_ms: i64,
    pub(crate) program: String,
    pub(crate) pid: u32,
    /// All phases, separated by commas.
    pub(crate) phases: String,
    /// How many samples.
    pub(crate) samples: u64,
    pub(crate) min_allocated_bytes: u64,
    pub(crate) max_allocated_bytes: u64,
    pub(crate) rss_bytes: u64,
    pub(crate) peak_rss_bytes: u64,
    pub(crate) tasks: u64,
    pub(crate) open_fds: u64,
    pub(crate) connections: u64,
}

impl Reader {
    /// Opens the history. `None` if nothing was ever written.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, HistoryError> {
        Ok(schema::open_to_read(path)?.map(|database| Self { database, path: path.to_owned() }))
    }

    pub(super) fn rows<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, HistoryError> {
        let read = || self.database.prepare(sql)?.query_map(values, row)?.collect::<rusqlite::Result<Vec<T>>>();
        read().at("read", &self.path)
    }

    /// Passes each row to `take`, one at a time.
    pub(super) fn each(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), HistoryError> {
        let read = || {
            let mut statement = self.database.prepare(sql)?;
            let mut rows = statement.query(values)?;
            while let Some(row) = rows.next()? {
                take(row)?;
            }
            Ok(())
        };
        read().at("read", &self.path)
    }

    /// The next samples from that time on, after the last one that was read. Empty at the end.
    pub(crate) fn samples(&self, from_ms: i64, last: Option<&SampleRow>) -> Result<Vec<SampleRow>, HistoryError> {
        let (at, process, after_purge) =
            last.map_or((from_ms, i64::MIN, false), |it| (it.at_ms, it.process, it.after_purge));
        self.rows(SAMPLES, params![at, process, after_purge, PAGE], |row| {
            let mut columns = Map::new();
            for (number, name) in row.as_ref().column_names().enumerate() {
                columns.insert(name.to_owned(), value(row.get_ref(number)?));
            }
            let process = columns.remove("process").and_then(|it| it.as_i64()).unwrap_or_default();
            let after_purge = columns.get("after_purge").is_some_and(|it| it != 0);
            columns.insert("after_purge".to_owned(), after_purge.into());
            Ok(SampleRow { at_ms: row.get("at_ms")?, process, after_purge, columns })
        })
    }

    /// The samples from that time on, those of each process within a slot of `slot_ms` as one row.
    pub(crate) fn condensed(&self, from_ms: i64, slot_ms: i64) -> Result<Vec<Condensed>, HistoryError> {
        self.rows(CONDENSED, params![from_ms, slot_ms.max(1), MAX_CONDENSED.saturating_add(1)], |row| {
            Ok(Condensed {
                at_ms: row.get("at_ms")?,
                program: row.get("program")?,
                pid: row.get("pid")?,
                phases: row.get("phases")?,
                samples: amount(row, "samples")?,
                min_allocated_bytes: amount(row, "min_allocated_bytes")?,
                max_allocated_bytes: amount(row, "max_allocated_bytes")?,
                rss_bytes: amount(row, "rss_bytes")?,
                peak_rss_bytes: amount(row, "peak_rss_bytes")?,
                tasks: amount(row, "tasks")?,
                open_fds: amount(row, "open_fds")?,
                connections: amount(row, "connections")?,
            })
        })
    }

    /// The last runs, the latest first.
    pub(crate) fn runs(&self, limit: u32) -> Result<Vec<Run>, HistoryError> {
        self.rows(RUNS, [limit], run)
    }
}

/// A run, from a row with the columns of `runs`.
pub(super) fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let boards: Option<String> = row.get("boards")?;
    Ok(Run {
        program: row.get("program")?,
        pid: row.get("pid")?,
        pid_namespace: row.get("pid_namespace")?,
        version: row.get("version")?,
        doing: row.get("doing")?,
        started_ms: row.get("started_ms")?,
        ended_ms: row.get("ended_ms")?,
        outcome: row.get("outcome")?,
        exit_code: row.get("exit_code")?,
        peak_rss_bytes: amount(row, "peak_rss_bytes")?,
        rss_bytes: amount(row, "rss_bytes")?,
        allocated_bytes: amount(row, "allocated_bytes")?,
        boards: boards.and_then(|it| serde_json::from_str(&it).ok()),
        recorded: row.get("recorded")?,
    })
}

fn value(stored: ValueRef<'_>) -> Value {
    match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(it) => it.into(),
        ValueRef::Real(it) => it.into(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into(),
    }
}

const SAMPLES: &str = "
    SELECT p.program, p.pid, p.started_ms, p.version, s.*
    FROM samples s JOIN processes p ON p.id = s.process
    WHERE (s.at_ms, s.process, s.after_purge) > (?1, ?2, ?3)
    ORDER BY s.at_ms, s.process, s.after_purge LIMIT ?4";

const CONDENSED: &str = "
    SELECT min(s.at_ms) AS at_ms, p.program, p.pid, group_concat(DISTINCT s.phase) AS phases, count(*) AS samples,
        min(s.allocated_bytes) AS min_allocated_bytes, max(s.allocated_bytes) AS max_allocated_bytes,
        max(s.rss_bytes) AS rss_bytes, max(s.peak_rss_bytes) AS peak_rss_bytes, max(s.tasks) AS tasks,
        max(s.open_fds) AS open_fds, max(s.connections) AS connections
    FROM samples s JOIN processes p ON p.id = s.process
    WHERE s.at_ms >= ?1
    GROUP BY p.id, s.at_ms / ?2
    ORDER BY s.at_ms / ?2, p.program, p.pid LIMIT ?3";

const RUNS: &str = "SELECT * FROM runs ORDER BY ended_ms DESC, id DESC LIMIT ?1";

/// Reads what [`stored`](super::records::stored) wrote.
pub(super) fn amount(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|stored| u64::try_from(stored).unwrap_or(0))
}
