//! Verdicts on the processes of the last two days.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::history::{AfterPurges, HistoryError, Process, Reader, whole_ms};
use crate::verdict::{JUDGED, Verdict};

const SPAN: Duration = Duration::from_hours(48);

/// Upper bound of the processes that are judged.
const MAX_PROCESSES: usize = 64;

/// A verdict on each process of the last two days, with the judgements of its figures.
pub(crate) fn verdicts(history: &Path, now_ms: i64) -> Result<Value, HistoryError> {
    let Some(reader) = Reader::open(history)? else { return Ok(json!([])) };
    let from_ms = now_ms.saturating_sub(whole_ms(SPAN));
    let mut processes = reader.processes(from_ms)?;
    // Judge only long-running processes, since there may be hundreds of short jobs.
    processes.sort_by_key(|it| it.started_ms);
    processes.truncate(MAX_PROCESSES);
    processes.reverse();
    let judged = |process: &Process| Ok(of(process, &reader.after_purges(process.id, from_ms, JUDGED)?));
    processes.iter().map(judged).collect()
}

fn of(Process { program, pid, started_ms, .. }: &Process, held: &AfterPurges) -> Value {
    let judgements: Vec<_> = held.judgements().collect();
    let worst = judgements.iter().map(|it| it.verdict).max().unwrap_or(Verdict::TooFewSamples);
    json!({
        "program": program, "pid": pid, "started_ms": started_ms, "verdict": worst.name(), "figures": judgements,
    })
}
