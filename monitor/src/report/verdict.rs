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
pub(crate) enum Whose {
    Process(Process),
    Job(Job),
}

impl Whose {
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
impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(it) => write!(f, "{} ({})", it.program, it.pid),
            Self::Job(it) => write!(f, "{} ({})", it.program, it.doing),
        }
    }
}

/// Judgements, one for each figure.
pub(crate) type Judged = (Whose, Vec<Judgement>);

/// Growth of a figure, with its sign.
pub(crate) fn growth(figure: Figure, amount: f64) -> String {
    let sign = if amount < 0.0 { "-" } else { "+" };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is not below 0, and saturates")]
    let whole = amount.abs().round() as u64;
    if figure.is_bytes() { format!("{sign}{}", bytes(whole)) } else { format!("{sign}{:.1}", amount.abs()) }
}

/// `verdict`: judgements of processes by the samples of the last `since` in `file`, and of jobs by their last runs.
pub(crate) fn verdicts(rows: &[Judged], since: Duration, file: &Path) -> String {
    let mut processes =
        Table::new("PROGRAM, >PID, FIGURE, VERDICT, >SAMPLES, >PER HOUR, >AT LEAST, >AT MOST, >VISIBLE FROM");
    let mut jobs = Table::new("PROGRAM, DOING, FIGURE, VERDICT, >RUNS, >PER RUN, >AT LEAST, >AT MOST, >VISIBLE FROM");
    let (mut any_process, mut any_job) = (false, false);
    let mut too_few = [false; 2];
    for (whose, judgements) in rows {
        for it in judgements {
            let is_too_few = it.verdict == Verdict::TooFewSamples;
            match whose {
                Whose::Process(of) => {
                    any_process = true;
                    too_few[0] |= is_too_few;
                    processes.row(row(&of.program, of.pid.to_string(), it, it.per_hour));
                }
                Whose::Job(of) => {
                    any_job = true;
                    too_few[1] |= is_too_few;
                    jobs.row(row(&of.program, of.doing.clone(), it, it.per_cycle));
                }
            }
        }
    }
    if too_few[0] {
        processes.note(format!("only samples after a purge count, without the first {WARM_UP} of a process"));
    }
    if too_few[1] {
        jobs.note(format!(
            "a job needs {MIN_RUNS} runs that fetched about as many boards; r3e-monitor runs shows them"
        ));
    }
    let processes = if any_process { processes.to_string() } else { no_samples(since, file) };
    if any_job { format!("{processes}\n{jobs}") } else { processes }
}

fn row(program: &str, whose: String, it: &Judgement, growing: Option<Growth>) -> Vec<String> {
    let mut row = vec![
        program.to_owned(),
        whose,
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
    let rows = rows.iter().flat_map(|(whose, judgements)| judgements.iter().map(move |it| (whose, it)));
    let object = |(whose, it): (&Whose, &Judgement)| {
        let mut row = json!({
            "program": whose.program(), "pid": whose.pid(), "started_at": null,
            "figure": it.figure, "verdict": it.verdict, "samples": it.samples,
            "per_hour": it.per_hour, "per_cycle": it.per_cycle,
        });
        match whose {
            Whose::Process(of) => row["started_at"] = rfc3339(of.started_ms).into(),
            Whose::Job(of) => row["doing"] = of.doing.as_str().into(),
        }
        row
    };
    rows.map(object).collect()
}
