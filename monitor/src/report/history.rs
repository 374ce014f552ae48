//! Reports from the history.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::output::{Report, no_samples};
use super::table::Table;
use super::units::{bytes, moment, or_dash, rfc3339, seconds};
use crate::history::{Condensed, MOST_CONDENSED, Run, SampleRow};

/// `history`, for people.
#[derive(Debug)]
pub(crate) struct History {
    /// Rows by time.
    pub(crate) rows: Vec<Condensed>,
    /// The value of `--since`.
    pub(crate) since: Duration,
    /// The database.
    pub(crate) file: PathBuf,
    /// The time zone of the reader.
    pub(crate) zone: TimeZone,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return no_samples(f, self.since, &self.file);
        }
        let mut table = Table::new(&[
            "FROM",
            "PROGRAM",
            ">PID",
            "PHASE",
            ">ALLOCATED",
            ">TO",
            ">RSS",
            ">PEAK",
            ">TASKS",
            ">FDS",
            ">CONNS",
            ">SAMPLES",
        ]);
        let most = MOST_CONDENSED as usize;
        for it in self.rows.iter().take(most) {
            table.row(vec![
                moment(it.at_ms, &self.zone),
                it.program.clone(),
                it.pid.to_string(),
                it.phases.replace(',', ", "),
                bytes(it.least_allocated_bytes),
                bytes(it.most_allocated_bytes),
                bytes(it.rss_bytes),
                bytes(it.peak_rss_bytes),
                it.tasks.to_string(),
                it.open_fds.to_string(),
                it.connections.to_string(),
                it.samples.to_string(),
            ]);
        }
        if self.rows.len() > most {
            table.note("more rows: use a shorter --since, or --json for all".to_owned());
        }
        table.fmt(f)
    }
}

/// One sample, as JSON.
pub(crate) fn sample_line(sample: &SampleRow) -> String {
    let mut columns = sample.columns.clone();
    for (moment, named) in [("at_ms", "at"), ("started_ms", "started_at")] {
        if let Some(ms) = columns.remove(moment).and_then(|it| it.as_i64()) {
            columns.insert(named.to_owned(), rfc3339(ms).into());
        }
    }
    Value::from(columns).to_string()
}

/// `runs`.
#[derive(Debug)]
pub(crate) struct Runs {
    /// Runs, the latest last.
    pub(crate) rows: Vec<Run>,
    /// The time zone of the reader.
    pub(crate) zone: TimeZone,
}

/// Duration of a run in seconds.
fn took(run: &Run) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a run takes far less than 2^53 ms")]
    let ms = run.ended_ms.saturating_sub(run.started_ms).max(0) as f64;
    ms / 1000.0
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return writeln!(f, "no finished runs");
        }
        let mut table = Table::new(&[
            "ENDED", "PROGRAM", ">PID", "DOING", ">TOOK", ">PEAK", ">FETCHED", ">FAILED", ">EXIT", "OUTCOME",
        ]);
        for it in &self.rows {
            let boards = |which: &str| or_dash(it.boards.as_ref().and_then(|it| it[which].as_u64()), |n| n.to_string());
            let remark = if it.recorded { "" } else { " (no record)" };
            table.row(vec![
                moment(it.ended_ms, &self.zone),
                it.program.clone(),
                it.pid.to_string(),
                it.doing.clone(),
                seconds(took(it)),
                bytes(it.peak_rss_bytes),
                boards("fetched"),
                boards("failed"),
                or_dash(it.exit_code, |code| code.to_string()),
                format!("{}{remark}", it.outcome),
            ]);
        }
        table.fmt(f)
    }
}

impl Report for Runs {
    fn to_json(&self) -> Value {
        let object = |it: &Run| {
            json!({
                "program": it.program, "pid": it.pid, "version": it.version, "doing": it.doing,
                "started_at": rfc3339(it.started_ms), "ended_at": rfc3339(it.ended_ms), "seconds": took(it),
                "outcome": it.outcome, "exit_code": it.exit_code, "peak_rss_bytes": it.peak_rss_bytes,
                "rss_bytes": it.rss_bytes, "allocated_bytes": it.allocated_bytes, "boards": it.boards,
                "recorded": it.recorded,
            })
        };
        self.rows.iter().map(object).collect()
    }
}
