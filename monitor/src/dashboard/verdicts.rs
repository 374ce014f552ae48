//! Leak or noise, of each process that was seen lately.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::history::{AfterPurges, HistoryError, Reader};
use crate::verdict::{Figure, Point, Verdict, judge};

/// How far back samples are judged.
const SPAN: Duration = Duration::from_hours(48);

/// What is to be said of each process that was seen in the last two days, by what it held after its purges.
///
/// # Errors
/// When the history is there and cannot be read.
pub(crate) fn verdicts(history: &Path, now_ms: i64) -> Result<Value, HistoryError> {
    let Some(reader) = Reader::open(history)? else { return Ok(json!([])) };
    let span_ms = i64::try_from(SPAN.as_millis()).unwrap_or(i64::MAX);
    Ok(reader.after_purges(now_ms.saturating_sub(span_ms))?.iter().map(of).collect())
}

fn of(AfterPurges { program, pid, started_ms, earlier, moments }: &AfterPurges) -> Value {
    let judgements: Vec<_> = Figure::ALL
        .into_iter()
        .map(|figure| {
            let points: Vec<Point> = moments.iter().map(|it| it.point(figure)).collect();
            judge(figure, &points, *earlier)
        })
        .collect();
    let worst = judgements.iter().map(|it| it.verdict).max().unwrap_or(Verdict::TooFewSamples);
    json!({
        "program": program, "pid": pid, "started_ms": started_ms, "verdict": worst.name(), "samples": moments.len(),
        "figures": judgements,
    })
}
