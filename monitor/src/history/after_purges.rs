//! What processes held after each purge: the series from which leaks are found.

use std::path::Path;

use r3e_common::runtime::control::Stats;
use r3e_common::runtime::memory;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::{At as _, HistoryError};
use super::read::Reader;
use super::read::amount;
use super::records::namespace;
use super::write::{Sample, Writer, started_ms};
use crate::verdict::{Figure, Figures, Judgement, Moment, WARM_UP, judge};

/// A process that was sampled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// Its row.
    pub(crate) id: i64,
    pub(crate) program: String,
    pub(crate) pid: u32,
    pub(crate) started_ms: i64,
}

/// The samples of a process after its purges, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AfterPurges {
    pub(crate) moments: Vec<Moment>,
    /// Number of earlier samples, up to the length of a warm-up.
    pub(crate) earlier: usize,
}

impl AfterPurges {
    /// A judgement for each figure.
    pub(crate) fn judgements(&self) -> impl Iterator<Item = Judgement> {
        Figure::OF_PROCESSES.into_iter().map(|figure| {
            let points: Vec<_> = self.moments.iter().map(|it| it.point(figure)).collect();
            judge(figure, &points, self.earlier)
        })
    }
}

impl Reader {
    /// The processes that were sampled since that time.
    pub(crate) fn processes(&self, from_ms: i64) -> Result<Vec<Process>, HistoryError> {
        self.rows(PROCESSES, [from_ms], |row| {
            Ok(Process { id: row.get(0)?, program: row.get(1)?, pid: row.get(2)?, started_ms: row.get(3)? })
        })
    }

    /// The last `limit` samples of a process after purges, from that time on.
    pub(crate) fn after_purges(&self, process: i64, from_ms: i64, limit: u32) -> Result<AfterPurges, HistoryError> {
        after_purges(&self.database, &self.path, (process, from_ms, limit))
    }
}

impl Writer {
    /// The process of a sample that was added, and its last `limit` samples after purges.
    pub(crate) fn last_purges(&self, of: &Sample, limit: u32) -> Result<Option<(i64, AfterPurges)>, HistoryError> {
        let find = || {
            let mut statement = self.database.prepare(ID)?;
            let Stats { program, pid, pid_namespace, .. } = &of.stats;
            let whose = params![program, pid, namespace(*pid_namespace), started_ms(&of.stats)];
            statement.query_row(whose, |row| row.get(0)).optional()
        };
        let Some(id) = find().at("read", &self.path)? else { return Ok(None) };
        Ok(Some((id, after_purges(&self.database, &self.path, (id, i64::MIN, limit))?)))
    }
}

fn after_purges(
    database: &Connection,
    path: &Path,
    (process, from_ms, limit): (i64, i64, u32),
) -> Result<AfterPurges, HistoryError> {
    let read = || {
        let mut moments = database
            .prepare(SAMPLES)?
            .query_map(params![process, from_ms, limit], |row| {
                let held = memory::Figures {
                    allocated_bytes: amount(row, "allocated_bytes")?,
                    thread_cache_bytes: amount(row, "thread_cache_bytes")?,
                    rss_bytes: amount(row, "rss_bytes")?,
                    threads: amount(row, "threads")?,
                    open_fds: amount(row, "open_fds")?,
                    connections: amount(row, "connections")?,
                    ..memory::Figures::default()
                };
                Ok(Moment { at_ms: row.get("at_ms")?, figures: Figures::new(&held, amount(row, "tasks")?) })
            })?
            .collect::<rusqlite::Result<Vec<Moment>>>()?;
        moments.reverse();
        let first_ms = moments.first().map_or(from_ms, |it| it.at_ms);
        let enough = u32::try_from(WARM_UP).unwrap_or(u32::MAX);
        let earlier: u32 = database.query_row(EARLIER, params![process, first_ms, enough], |row| row.get(0))?;
        Ok(AfterPurges { moments, earlier: usize::try_from(earlier).unwrap_or(WARM_UP) })
    };
    read().at("read", path)
}

const PROCESSES: &str = "
    SELECT id, program, pid, started_ms FROM processes WHERE seen_ms >= ?1 ORDER BY program, started_ms, pid";

const ID: &str = "SELECT id FROM processes WHERE program = ?1 AND pid = ?2 AND pid_namespace = ?3 AND started_ms = ?4";

pub(super) const SAMPLES: &str = "
    SELECT at_ms, allocated_bytes, thread_cache_bytes, rss_bytes, threads, tasks, open_fds, connections FROM samples
    WHERE process = ?1 AND after_purge = 1 AND at_ms >= ?2 ORDER BY at_ms DESC LIMIT ?3";

const EARLIER: &str = "
    SELECT count(*) FROM
        (SELECT 1 FROM samples WHERE process = ?1 AND after_purge = 1 AND at_ms < ?2 LIMIT ?3)";
