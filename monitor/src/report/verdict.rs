//! Memory growth.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::no_samples;
use super::table::Table;
use super::units::{bytes, rfc3339};
use crate::history::{Job, Process};
use crate::verdict::{Figure, Growth, Judgement, MIN_RUNS, Verdict, WARM_UP};

/// What is judged.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Subject {
    Process(Process),
    Job(Job),
}

impl Subject {
    pub(crate) fn program(&self) -> &str {
        match self {
            Self::Process(it) => &it.program,
            Self::Job(it) => &it.program,
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Self::Process(it) => Some(it.pid),
            Self::Job(_) => None,
        }
    }
}

/// `r3e-scheduler (4711)`, `r3e-loader (loading)`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(it) => write!(f, "{} ({})", it.program, it.pid),
            Self::Job(it) => write!(f, "{} ({})", it.program, it.doing),
        }
    }
}

/// Judgements, one for each figure.
pub(crate) type Judged = (Subject, Vec<Judgement>);

/// Growth of a figure, with its sign.
#[must_use]
pub fn growth(figure: Figure, amount: f64) -> String {
    let sign = if amount < 0.0 { "-" } else { "+" };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is not below 0, and saturates")]
    let whole = amount.abs().round() as u64;
    if figure.is_bytes() { format!("{sign}{}", bytes(whole)) } else { format!("{sign}{:.1}", amount.abs()) }
}

/// `verdict`: judgements of processes by the samples of the last `since` in `file`, and of jobs by their last runs.
pub(crate) fn verdicts(rows: &[Judged], since: Duration, file: &Path) -> String {
    let processes = rows.iter().filter_map(|(subject, judgements)| match subject {
        Subject::Process(of) => Some((of.program.as_str(), of.pid.to_string(), judgements.as_slice())),
        Subject::Job(_) => None,
    });
    let jobs = rows.iter().filter_map(|(subject, judgements)| match subject {
        Subject::Process(_) => None,
        Subject::Job(of) => Some((of.program.as_str(), of.doing.clone(), judgements.as_slice())),
    });
    let processes = table(
        Table::new("PROGRAM, >PID, FIGURE, VERDICT, >SAMPLES, >PER HOUR, >AT LEAST, >AT MOST, >VISIBLE FROM"),
        |it| it.per_hour,
        &format!("only samples after a purge count, without the first {WARM_UP} of a process"),
        processes,
    );
    let jobs = table(
        Table::new("PROGRAM, DOING, FIGURE, VERDICT, >RUNS, >PER RUN, >AT LEAST, >AT MOST, >VISIBLE FROM"),
        |it| it.per_cycle,
        &format!("a job needs {MIN_RUNS} runs that fetched about as many boards; r3e-monitor runs shows them"),
        jobs,
    );
    match (processes, jobs) {
        (None, None) => no_samples(since, file),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(processes), Some(jobs)) => format!("{processes}\n{jobs}"),
    }
}

/// A row for each judgement, and a note if one of them lacks samples. `None` without rows.
fn table<'a>(
    mut table: Table,
    growing: impl Fn(&Judgement) -> Option<Growth>,
    too_few: &str,
    rows: impl Iterator<Item = (&'a str, String, &'a [Judgement])>,
) -> Option<String> {
    let mut judged = Vec::new();
    for (program, subject, judgements) in rows {
        for it in judgements {
            table.row(row(program, subject.clone(), it, growing(it)));
            judged.push(it.verdict);
        }
    }
    if judged.contains(&Verdict::TooFewSamples) {
        table.note(too_few.to_owned());
    }
    (!judged.is_empty()).then(|| table.to_string())
}

fn row(program: &str, subject: String, it: &Judgement, growing: Option<Growth>) -> Vec<String> {
    let mut row = vec![
        program.to_owned(),
        subject,
        it.figure.name().to_owned(),
        it.verdict.name().to_owned(),
        it.samples.to_string(),
    ];
    row.extend(match growing {
        Some(it_grows) => {
            [it_grows.likely, it_grows.low, it_grows.high, it_grows.visible].map(|amount| growth(it.figure, amount))
        }
        None => ["-"; 4].map(str::to_owned),
    });
    row
}

/// `verdict`, as JSON. The row of a job has no process, and what the job does instead.
pub(crate) fn verdicts_json(rows: &[Judged]) -> Value {
    let rows = rows.iter().flat_map(|(subject, judgements)| judgements.iter().map(move |it| (subject, it)));
    let object = |(subject, it): (&Subject, &Judgement)| {
        let mut row = json!({
            "program": subject.program(), "pid": subject.pid(), "started_at": null,
            "figure": it.figure, "verdict": it.verdict, "samples": it.samples,
            "per_hour": it.per_hour, "per_cycle": it.per_cycle,
        });
        match subject {
            Subject::Process(of) => row["started_at"] = rfc3339(of.started_ms).into(),
            Subject::Job(of) => row["doing"] = of.doing.as_str().into(),
        }
        row
    };
    rows.map(object).collect()
}
