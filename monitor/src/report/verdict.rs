//! Memory growth.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::no_samples;
use super::table::Table;
use super::units::{bytes, rfc3339};
use crate::history::Process;
use crate::verdict::{Figure, Judgement, Verdict, WARM_UP};

/// The judgements of a process, one for each figure.
type Judged = (Process, Vec<Judgement>);

/// Growth of a figure, with its sign.
pub(crate) fn growth(figure: Figure, amount: f64) -> String {
    let sign = if amount < 0.0 { "-" } else { "+" };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is not below 0, and saturates")]
    let whole = amount.abs().round() as u64;
    if figure.is_bytes() { format!("{sign}{}", bytes(whole)) } else { format!("{sign}{:.1}", amount.abs()) }
}

/// `verdict`: judgements by the samples of the last `since` in `file`.
pub(crate) fn verdicts(rows: &[Judged], since: Duration, file: &Path) -> String {
    if rows.is_empty() {
        return no_samples(since, file);
    }
    let mut table =
        Table::new("PROGRAM, >PID, FIGURE, VERDICT, >SAMPLES, >PER HOUR, >AT LEAST, >AT MOST, >VISIBLE FROM");
    let mut too_few = false;
    for (process, judgements) in rows {
        for it in judgements {
            too_few |= it.verdict == Verdict::TooFewSamples;
            let mut row = vec![
                process.program.clone(),
                process.pid.to_string(),
                it.figure.name().to_owned(),
                it.verdict.name().to_owned(),
                it.samples.to_string(),
            ];
            row.extend(match it.per_hour {
                Some(hour) => [hour.likely, hour.low, hour.high, hour.visible].map(|amount| growth(it.figure, amount)),
                None => ["-"; 4].map(str::to_owned),
            });
            table.row(row);
        }
    }
    if too_few {
        table.note(format!("only samples after a purge count, without the first {WARM_UP} of a process"));
    }
    table.to_string()
}

/// `verdict`, as JSON.
pub(crate) fn verdicts_json(rows: &[Judged]) -> Value {
    let rows = rows.iter().flat_map(|(process, judgements)| judgements.iter().map(move |it| (process, it)));
    let object = |(process, it): (&Process, &Judgement)| {
        json!({
            "program": process.program, "pid": process.pid, "started_at": rfc3339(process.started_ms),
            "figure": it.figure, "verdict": it.verdict, "samples": it.samples,
            "per_hour": it.per_hour, "per_cycle": it.per_cycle,
        })
    };
    rows.map(object).collect()
}
