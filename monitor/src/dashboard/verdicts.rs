//! Leak or noise, of each process that was seen lately.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::history::{AfterPurges, HistoryError, Process, Reader, whole_ms};
use crate::verdict::{JUDGED, Verdict};

/// How far back samples are judged.
const SPAN: Duration = Duration::from_hours(48);

/// So many processes are judged, those that began first.
const MOST_PROCESSES: usize = 64;

/// What is to be said of each process that was seen in the last two days, by what it held after its purges.
pub(crate) fn verdicts(history: &Path, now_ms: i64) -> Result<Value, HistoryError> {
    let Some(reader) = Reader::open(history)? else { return Ok(json!([])) };
    let from_ms = now_ms.saturating_sub(whole_ms(SPAN));
    let mut processes = reader.processes(from_ms)?;
    // Those that have run for long are those that can be judged: jobs come and go by the hundred.
    processes.sort_by_key(|it| it.started_ms);
    processes.truncate(MOST_PROCESSES);
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
