//! Verdicts on the processes of the last two days, and on jobs by their last runs.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::history::{HistoryError, Reader, jobs, whole_ms};
use crate::verdict::{JUDGED, Judgement, Verdict};

const SPAN: Duration = Duration::from_hours(48);

/// Upper bound of the processes that are judged.
const MAX_PROCESSES: usize = 64;

/// A verdict on each process of the last two days, and on each kind of job, with the judgements of its figures.
pub(crate) fn verdicts(history: &Path, runtime_dir: &Path, now_ms: i64) -> Result<Value, HistoryError> {
    let mut verdicts = Vec::new();
    if let Some(reader) = Reader::open(history)? {
        let from_ms = now_ms.saturating_sub(whole_ms(SPAN));
        let mut processes = reader.processes(from_ms)?;
        // Judge only long-running processes, since there may be hundreds of short jobs.
        processes.sort_by_key(|it| it.started_ms);
        processes.truncate(MAX_PROCESSES);
        for it in processes.into_iter().rev() {
            let (worst, figures) = worst_of(reader.after_purges(it.id, from_ms, JUDGED)?.judgements());
            verdicts.push(json!({
                "program": it.program, "pid": it.pid, "started_ms": it.started_ms, "verdict": worst, "figures": figures,
            }));
        }
    }
    for it in jobs(history, runtime_dir)? {
        let (worst, figures) = worst_of(it.judgements());
        verdicts.push(json!({ "program": it.program, "doing": it.doing, "verdict": worst, "figures": figures }));
    }
    Ok(verdicts.into())
}

fn worst_of(judgements: impl Iterator<Item = Judgement>) -> (Verdict, Vec<Judgement>) {
    let judgements: Vec<_> = judgements.collect();
    (judgements.iter().map(|it| it.verdict).max().unwrap_or(Verdict::TooFewSamples), judgements)
}
