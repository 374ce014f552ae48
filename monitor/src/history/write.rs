//! Writes the history. Each call is one transaction.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use r3e_common::runtime::control::Stats;
use r3e_common::runtime::fs::{self, Inode};
use rusqlite::{Connection, Transaction, TransactionBehavior, named_params, params};

use super::age::Age;
use super::error::{At as _, HistoryError};
use super::records::{Run, namespace, stored};
use super::{read, schema, whole_ms};
use crate::kernel;

/// Upper bound of the samples that are dropped in one transaction.
const MAX_DROPPED: u32 = 10_000;

/// A sample of one process.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) stats: Stats,
    /// See [`kernel::start_ticks`].
    pub(crate) start_ticks: Option<i64>,
    /// Whether it was taken right after a purge: leaks are found from such samples.
    pub(crate) after_purge: bool,
}

/// The samples of all processes at one time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    pub(crate) at_ms: i64,
    /// Of those that answered.
    pub(crate) samples: Vec<Sample>,
    /// Those with a live socket that did not answer. `None` if not all were asked.
    pub(crate) silent: Option<HashSet<(String, u32)>>,
}

/// The history, opened for writing.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) database: Connection,
    pub(super) path: PathBuf,
    /// The file that was opened.
    file: Option<Inode>,
    age: Age,
}

impl Writer {
    /// Opens the history, and creates it if there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, HistoryError> {
        let database = schema::open_to_write(path)?;
        let file = fs::inode(path)?;
        let kept_ms = database.query_row(KEPT_AGE, [], |row| row.get(0)).at("read", path)?;
        Ok(Self { database, path: path.to_owned(), file, age: Age::new(kept_ms) })
    }

    /// The file that is open.
    pub(crate) fn file(&self) -> Option<Inode> {
        self.file
    }

    /// Whether the open file is still at its path.
    pub(crate) fn is_in_place(&self) -> Result<bool, HistoryError> {
        Ok(self.file.is_some() && fs::inode(&self.path)? == self.file)
    }

    /// Merges the log into the file, which was moved. A log left at the path would be taken for that of the file there now.
    pub(crate) fn close_moved(self) -> Result<(), HistoryError> {
        let checkpoint = || self.database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        checkpoint().at("complete", &self.path)
    }

    fn in_transaction<T>(
        &mut self,
        action: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, HistoryError> {
        let all = || {
            let transaction = self.database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit().map(|()| result)
        };
        all().at(action, &self.path)
    }

    /// Adds samples.
    pub(crate) fn add(&mut self, batches: &[Batch]) -> Result<(), HistoryError> {
        if batches.iter().all(|batch| batch.samples.is_empty()) {
            return Ok(());
        }
        self.in_transaction("add samples to", |transaction| {
            let mut process = transaction.prepare(SEEN)?;
            let mut sample = transaction.prepare(SAMPLE)?;
            for (batch, it) in batches.iter().flat_map(|batch| batch.samples.iter().map(move |it| (batch, it))) {
                let Stats { figures, limit_bytes, pss_bytes, progress, .. } = it.stats;
                let id: i64 = process.query_row(
                    params![
                        it.stats.program,
                        it.stats.pid,
                        namespace(it.stats.pid_namespace),
                        started_ms(&it.stats),
                        it.start_ticks,
                        it.stats.version,
                        batch.at_ms,
                        it.stats.phase,
                        stored(figures.peak_rss_bytes),
                        stored(figures.rss_bytes),
                        stored(figures.allocated_bytes),
                    ],
                    |row| row.get(0),
                )?;
                sample.execute(named_params! {
                    ":at": batch.at_ms,
                    ":process": id,
                    ":after_purge": it.after_purge,
                    ":phase": it.stats.phase,
                    ":allocated": stored(figures.allocated_bytes),
                    ":active": stored(figures.active_bytes),
                    ":metadata": stored(figures.metadata_bytes),
                    ":resident": stored(figures.resident_bytes),
                    ":mapped": stored(figures.mapped_bytes),
                    ":retained": stored(figures.retained_bytes),
                    ":thread_cache": stored(figures.thread_cache_bytes),
                    ":rss": stored(figures.rss_bytes),
                    ":peak_rss": stored(figures.peak_rss_bytes),
                    ":pss": stored(pss_bytes),
                    ":limit": limit_bytes.map(stored),
                    ":threads": stored(figures.threads),
                    ":tasks": stored(it.stats.tasks),
                    ":open_fds": stored(figures.open_fds),
                    ":connections": stored(figures.connections),
                    ":purges": stored(figures.purges),
                    ":fetched": progress.map(|it| stored(it.fetched)),
                    ":failed": progress.map(|it| stored(it.failed)),
                    ":total": progress.map(|it| stored(it.total)),
                    ":rss_anon": figures.rss_anon_bytes.map(stored),
                })?;
            }
            Ok(())
        })
    }

    /// Imports the records of runs. A run that was already imported stays as it is; one that was only inferred is replaced.
    pub(crate) fn import(&mut self, runs: &[&Run]) -> Result<(), HistoryError> {
        self.in_transaction("add runs to", |transaction| {
            for run in runs {
                let whose = params![run.program, run.pid, run.pid_namespace, run.started_ms];
                transaction.prepare(REPLACED)?.execute(whose)?;
                insert(transaction, run)?;
                transaction.prepare(ENDED)?.execute(whose)?;
            }
            Ok(())
        })
    }

    /// Adds a run for each process that was sampled, does not exist any more and left no record. Returns these runs.
    pub(crate) fn conclude(&mut self, batch: &Batch) -> Result<Vec<Run>, HistoryError> {
        let Some(silent) = &batch.silent else { return Ok(Vec::new()) };
        let is_gone = |(_, ticks, run): &(i64, Option<i64>, Run)| {
            let answered = batch.samples.iter().map(|it| &it.stats).find(|it| {
                it.program == run.program && it.pid == run.pid && namespace(it.pid_namespace) == run.pid_namespace
            });
            match answered {
                Some(stats) => started_ms(stats) != Some(run.started_ms),
                None if silent.contains(&(run.program.clone(), run.pid)) => false,
                // It may run without a socket: it is about to end, or its socket was removed.
                None => ticks.is_none() || kernel::start_ticks(run.pid) != *ticks,
            }
        };
        let mut gone: Vec<_> = self.not_ended().at("read", &self.path)?.into_iter().filter(is_gone).collect();
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        self.in_transaction("add runs to", |transaction| {
            let mut added = Vec::new();
            for (id, _, run) in gone.drain(..) {
                let whose = params![run.program, run.pid, run.pid_namespace, run.started_ms];
                let recorded = transaction.prepare(RECORDED)?.exists(whose)?;
                if !recorded && insert(transaction, &run)? {
                    added.push(run);
                }
                transaction.prepare("UPDATE processes SET ended = 1 WHERE id = ?1")?.execute([id])?;
            }
            Ok(added)
        })
    }

    /// The processes whose end is not known: row, start time, and what is known of the run.
    fn not_ended(&self) -> rusqlite::Result<Vec<(i64, Option<i64>, Run)>> {
        let mut statement = self.database.prepare(NOT_ENDED)?;
        let rows =
            statement.query_map([KILLED], |row| Ok((row.get("id")?, row.get("start_ticks")?, read::run(row)?)))?;
        rows.collect()
    }

    /// Drops what is older than `keep` by the time of [`Age`], in `steps` transactions at most.
    pub(crate) fn drop_old(&mut self, clock_ms: i64, keep: Duration, steps: usize) -> Result<(), HistoryError> {
        let Some(now_ms) = self.age.now_ms(clock_ms) else { return Ok(()) };
        self.in_transaction("write", |transaction| {
            transaction.execute("DELETE FROM age", [])?;
            transaction.execute("INSERT INTO age VALUES (?1)", [now_ms])
        })?;
        let moment_ms = now_ms.saturating_sub(whole_ms(keep));
        for _ in 0..steps {
            if !self.drop_before(moment_ms)? {
                break;
            }
        }
        Ok(())
    }

    /// Drops some of what is older than that. Returns whether there may be more.
    pub(crate) fn drop_before(&mut self, moment_ms: i64) -> Result<bool, HistoryError> {
        self.in_transaction("drop old samples of", |transaction| {
            let dropped = transaction.execute(OLD_SAMPLES, params![moment_ms, MAX_DROPPED])?;
            transaction.execute("DELETE FROM runs WHERE ended_ms < ?1", [moment_ms])?;
            transaction.execute(OLD_PROCESSES, [moment_ms])?;
            Ok(dropped > 0)
        })
    }
}

/// When the process started, by its own account.
pub(crate) fn started_ms(stats: &Stats) -> Option<i64> {
    stats.started_at.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// The outcome of a run without a record.
pub(crate) const KILLED: &str = "killed";

/// Inserts a run, and returns whether it was new.
fn insert(transaction: &Transaction<'_>, run: &Run) -> rusqlite::Result<bool> {
    let inserted = transaction.prepare(RUN)?.execute(named_params! {
        ":program": run.program,
        ":pid": run.pid,
        ":pid_namespace": run.pid_namespace,
        ":started": run.started_ms,
        ":ended": run.ended_ms,
        ":version": run.version,
        ":doing": run.doing,
        ":outcome": run.outcome,
        ":exit_code": run.exit_code,
        ":peak_rss": stored(run.peak_rss_bytes),
        ":rss": stored(run.rss_bytes),
        ":allocated": stored(run.allocated_bytes),
        ":boards": run.boards.as_ref().map(ToString::to_string),
        ":recorded": run.recorded,
    })?;
    Ok(inserted > 0)
}

/// A history of an earlier version has no age: the time of its last sample.
const KEPT_AGE: &str = "
    SELECT coalesce((SELECT now_ms FROM age), (SELECT max(at_ms) FROM samples))";

const SEEN: &str = "
    INSERT INTO processes (program, pid, pid_namespace, started_ms, start_ticks, version, seen_ms, phase,
        peak_rss_bytes, rss_bytes, allocated_bytes)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
    ON CONFLICT (program, pid, pid_namespace, started_ms) DO UPDATE SET seen_ms = excluded.seen_ms, phase = excluded.phase,
        peak_rss_bytes = max(peak_rss_bytes, excluded.peak_rss_bytes), rss_bytes = excluded.rss_bytes,
        allocated_bytes = excluded.allocated_bytes
    RETURNING id";

const SAMPLE: &str = "
    INSERT INTO samples VALUES (:at, :process, :after_purge, :phase, :allocated, :active, :metadata, :resident,
        :mapped, :retained, :thread_cache, :rss, :peak_rss, :pss, :limit, :threads, :tasks, :open_fds, :connections,
        :purges, :fetched, :failed, :total, :rss_anon)
    ON CONFLICT DO NOTHING";

const RUN: &str = "
    INSERT INTO runs (program, pid, pid_namespace, started_ms, ended_ms, version, doing, outcome, exit_code,
        peak_rss_bytes, rss_bytes, allocated_bytes, boards, recorded)
    VALUES (:program, :pid, :pid_namespace, :started, :ended, :version, :doing, :outcome, :exit_code, :peak_rss, :rss, :allocated,
        :boards, :recorded)
    ON CONFLICT (program, pid, pid_namespace, started_ms) DO NOTHING";

/// Marks a process as ended. It and its run record may have read the clock separately, so their start times may differ a
/// little. No process id is reused that soon.
const ENDED: &str = "
    UPDATE processes SET ended = 1 WHERE program = ?1 AND pid = ?2 AND pid_namespace = ?3 AND abs(started_ms - ?4) < 5000";

const REPLACED: &str = "
    DELETE FROM runs WHERE recorded = 0 AND program = ?1 AND pid = ?2 AND pid_namespace = ?3
        AND abs(started_ms - ?4) < 5000";

const RECORDED: &str = "
    SELECT 1 FROM runs WHERE recorded = 1 AND program = ?1 AND pid = ?2 AND pid_namespace = ?3
        AND abs(started_ms - ?4) < 5000";

const NOT_ENDED: &str = "
    SELECT *, phase AS doing, seen_ms AS ended_ms, ?1 AS outcome, NULL AS exit_code, NULL AS boards, 0 AS recorded
    FROM processes WHERE ended = 0";

const OLD_SAMPLES: &str = "
    DELETE FROM samples WHERE at_ms < ?1
        AND at_ms <= coalesce((SELECT at_ms FROM samples ORDER BY at_ms LIMIT 1 OFFSET ?2), ?1)";

/// A process is dropped after the last of its samples.
const OLD_PROCESSES: &str = "
    DELETE FROM processes WHERE seen_ms < ?1 AND seen_ms < coalesce((SELECT min(at_ms) FROM samples), ?1)";
