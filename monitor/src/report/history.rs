//! The history.

use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::no_samples;
use super::table::Table;
use super::units::{bytes, moment, or_dash, rfc3339, seconds};
use crate::history::{Condensed, MAX_CONDENSED, Run, SampleRow};

/// `history`: rows of the last `since` from `file`, with times in the zone of the reader.
pub(crate) fn history(rows: &[Condensed], since: Duration, file: &Path, zone: &TimeZone) -> String {
    if rows.is_empty() {
        return no_samples(since, file);
    }
    let mut table =
        Table::new("FROM, PROGRAM, >PID, PHASE, >ALLOCATED, >TO, >RSS, >PEAK, >TASKS, >FDS, >CONNS, >SAMPLES");
    for it in rows.iter().take(MAX_CONDENSED as usize) {
        let phases = it.phases.replace(',', ", ");
        let mut row = vec![moment(it.at_ms, zone), it.program.clone(), it.pid.to_string(), phases];
        row.extend([it.min_allocated_bytes, it.max_allocated_bytes, it.rss_bytes, it.peak_rss_bytes].map(bytes));
        row.extend([it.tasks, it.open_fds, it.connections, it.samples].map(|count| count.to_string()));
        table.row(row);
    }
    if rows.len() > MAX_CONDENSED as usize {
        table.note("more rows: use a shorter --since, or --json for all".to_owned());
    }
    table.to_string()
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

/// Duration of a run in seconds.
fn took(run: &Run) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a run takes far less than 2^53 ms")]
    let ms = run.ended_ms.saturating_sub(run.started_ms).max(0) as f64;
    ms / 1000.0
}

/// `runs`, with times in the zone of the reader.
pub(crate) fn runs(runs: &[Run], zone: &TimeZone) -> String {
    if runs.is_empty() {
        return "no finished runs\n".to_owned();
    }
    let mut table = Table::new("ENDED, PROGRAM, >PID, DOING, >TOOK, >PEAK, >FETCHED, >FAILED, >EXIT, OUTCOME");
    for it in runs {
        let boards = |which: &str| or_dash(it.boards.as_ref().and_then(|it| it[which].as_u64()), |n| n.to_string());
        let remark = if it.recorded { "" } else { " (no record)" };
        table.row(vec![
            moment(it.ended_ms, zone),
            it.program.clone(),
            it.pid.to_string(),
            it.doing.clone(),
            seconds(took(it)),
            or_dash(Some(it.peak_rss_bytes).filter(|it| *it > 0), bytes),
            boards("fetched"),
            boards("failed"),
            or_dash(it.exit_code, |code| code.to_string()),
            format!("{}{remark}", it.outcome),
        ]);
    }
    table.to_string()
}

/// `runs`, as JSON.
pub(crate) fn runs_json(runs: &[Run]) -> Value {
    let object = |it: &Run| {
        json!({
            "program": it.program, "pid": it.pid, "version": it.version, "doing": it.doing,
            "started_at": rfc3339(it.started_ms), "ended_at": rfc3339(it.ended_ms), "seconds": took(it),
            "outcome": it.outcome, "exit_code": it.exit_code, "peak_rss_bytes": it.peak_rss_bytes,
            "rss_bytes": it.rss_bytes, "allocated_bytes": it.allocated_bytes, "boards": it.boards,
            "recorded": it.recorded,
        })
    };
    runs.iter().map(object).collect()
}
