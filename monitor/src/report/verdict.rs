//! Report of memory growth.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::output::{Report, no_samples};
use super::table::Table;
use super::units::{bytes, rfc3339};
use crate::history::Process;
use crate::verdict::{Figure, Judgement, Verdict, WARM_UP};

/// `verdict`.
#[derive(Debug)]
pub(crate) struct Verdicts {
    /// Judgements by process and figure.
    pub(crate) rows: Vec<(Process, Vec<Judgement>)>,
    /// The value of `--since`.
    pub(crate) since: Duration,
    /// The database.
    pub(crate) file: PathBuf,
}

impl Verdicts {
    /// The processes that leak, each with its leaking figures.
    pub(crate) fn leaks(&self) -> impl Iterator<Item = (String, String)> {
        self.rows.iter().filter_map(|(process, judgements)| {
            let leaks = judgements.iter().filter(|it| it.verdict == Verdict::Leak);
            let names: Vec<&str> = leaks.map(|it| it.figure.name()).collect();
            let Process { program, pid, .. } = process;
            (!names.is_empty()).then(|| (format!("{program} ({pid})"), names.join(", ")))
        })
    }
}

/// Growth of a figure, with its sign.
pub(crate) fn growth(figure: Figure, amount: f64) -> String {
    let sign = if amount < 0.0 { "-" } else { "+" };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is not below 0, and saturates")]
    let whole = amount.abs().round() as u64;
    if figure.is_bytes() { format!("{sign}{}", bytes(whole)) } else { format!("{sign}{:.1}", amount.abs()) }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return no_samples(f, self.since, &self.file);
        }
        let mut table = Table::new(&[
            "PROGRAM",
            ">PID",
            "FIGURE",
            "VERDICT",
            ">SAMPLES",
            ">PER HOUR",
            ">AT LEAST",
            ">AT MOST",
            ">VISIBLE FROM",
        ]);
        for (process, judgements) in &self.rows {
            for it in judgements {
                let mut row = vec![
                    process.program.clone(),
                    process.pid.to_string(),
                    it.figure.name().to_owned(),
                    it.verdict.name().to_owned(),
                    it.samples.to_string(),
                ];
                let shown = |amount: f64| growth(it.figure, amount);
                row.extend(match it.per_hour {
                    Some(hour) => [hour.likely, hour.low, hour.high, hour.visible].map(shown),
                    None => ["-"; 4].map(str::to_owned),
                });
                table.row(row);
            }
        }
        if self.rows.iter().any(|(_, judgements)| judgements.iter().any(|it| it.verdict == Verdict::TooFewSamples)) {
            table.note(format!("only samples after a purge count, without the first {WARM_UP} of a process"));
        }
        table.fmt(f)
    }
}

impl Report for Verdicts {
    fn to_json(&self) -> Value {
        let rows = self.rows.iter().flat_map(|(process, judgements)| judgements.iter().map(move |it| (process, it)));
        let object = |(process, it): (&Process, &Judgement)| {
            json!({
                "program": process.program, "pid": process.pid, "started_at": rfc3339(process.started_ms),
                "figure": it.figure, "verdict": it.verdict, "samples": it.samples,
                "per_hour": it.per_hour, "per_cycle": it.per_cycle,
            })
        };
        rows.map(object).collect()
    }
}
