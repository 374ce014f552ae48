//! `history`, `runs`, `verdict` and `report`: the past.

use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use r3e_common::runtime::exit::{Exit, Failure};
use serde_json::json;

use super::context::{Context, comma_separated, print, selectors, try_print};
use crate::cli::{HistoryArguments, ReportArguments, RunsArguments, VerdictArguments};
use crate::dashboard::write_report;
use crate::history::{Reader, jobs, latest_runs, milliseconds, whole_ms};
use crate::report::{self, Judged, Subject};
use crate::sockets::{Pid, select};
use crate::verdict::Verdict;

/// Rows into which a time span is divided.
const SLOTS: u32 = 24;

/// Upper bound of the samples of a process that a verdict looks at: ten days at a purge every 2 minutes.
const MAX_SAMPLES: u32 = 7200;

impl Context<'_> {
    fn zone(&self) -> TimeZone {
        self.config.schedule.time_zone.clone().unwrap_or_else(TimeZone::system)
    }

    /// `history`
    pub(crate) fn history(self, asked: &HistoryArguments) -> Result<Exit, Failure> {
        let file = &self.config.monitor.history;
        let from_ms = since_ms((self.clock)(), asked.since);
        let reader = Reader::open(file)?;
        if self.json {
            return all_samples(reader.as_ref(), from_ms);
        }
        let slot_ms = whole_ms(asked.since / SLOTS);
        let rows = reader.map_or_else(|| Ok(Vec::new()), |it| it.condensed(from_ms, slot_ms))?;
        print(&report::history(&rows, asked.since, file, &self.zone()))
    }

    /// `runs`
    pub(crate) fn runs(self, asked: &RunsArguments) -> Result<Exit, Failure> {
        let runs = latest_runs(&self.config.monitor.history, &self.config.runtime.dir, asked.last)?;
        self.show(|| report::runs_json(&runs), || report::runs(&runs, &self.zone()))
    }

    /// `verdict`
    pub(crate) fn verdict(self, asked: &VerdictArguments) -> Result<Exit, Failure> {
        let file = &self.config.monitor.history;
        let from_ms = since_ms((self.clock)(), asked.since);
        let reader = Reader::open(file)?;
        let processes = reader.as_ref().map(|it| it.processes(from_ms)).transpose()?.unwrap_or_default();
        let jobs = jobs(file, &self.config.runtime.dir)?;
        let seen = processes.into_iter().map(Subject::Process).chain(jobs.into_iter().map(Subject::Job)).collect();
        let named = selectors(&asked.selected);
        let chosen = select(seen, &named, |it| (it.program(), it.pid().map(Pid::from))).map_err(|unknown| {
            let (unknown, file) = (comma_separated(&unknown), file.display());
            let since = humantime::format_duration(asked.since);
            let hint = "r3e-monitor history shows the recorded programs";
            Failure::new(
                Exit::Usage,
                format!("no samples of {unknown} in the last {since} in {file}, and no runs\nhint: {hint}"),
            )
        })?;
        let mut rows: Vec<Judged> = Vec::new();
        for subject in chosen {
            let judgements = match (&subject, &reader) {
                (Subject::Job(job), _) => job.judgements().collect(),
                (Subject::Process(it), Some(reader)) => {
                    reader.after_purges(it.id, from_ms, MAX_SAMPLES)?.judgements().collect()
                }
                (Subject::Process(_), None) => continue,
            };
            rows.push((subject, judgements));
        }
        let printed = self.show(|| report::verdicts_json(&rows), || report::verdicts(&rows, asked.since, file))?;
        let leaks: Vec<String> = rows.iter().filter_map(leaks).collect();
        if leaks.is_empty() { Ok(printed) } else { Err(Failure::unexpected(format!("leaks: {}", leaks.join("; ")))) }
    }

    /// `report`
    pub(crate) async fn report(self, asked: &ReportArguments) -> Result<Exit, Failure> {
        write_report(self.config, &asked.output, asked.since, self.clock).await?;
        let file = asked.output.display().to_string();
        self.show(|| json!({ "file": file }), || format!("{file}\n"))
    }
}

/// The process or job with its leaking figures, if there are any.
fn leaks((subject, judgements): &Judged) -> Option<String> {
    let leaks = judgements.iter().filter(|it| it.verdict == Verdict::Leak);
    let figures: Vec<&str> = leaks.map(|it| it.figure.name()).collect();
    (!figures.is_empty()).then(|| format!("{subject}: {}", figures.join(", ")))
}

/// Prints all samples as a JSON array, page by page: there may be millions.
fn all_samples(reader: Option<&Reader>, from_ms: i64) -> Result<Exit, Failure> {
    let mut text = String::from("[");
    let mut last = None;
    let mut separator = "";
    while let Some(reader) = reader {
        let page = reader.samples(from_ms, last.as_ref())?;
        if page.is_empty() {
            break;
        }
        for sample in &page {
            text.push_str(separator);
            text.push_str(&report::sample_line(sample));
            separator = ",";
        }
        if !try_print(&text)? {
            return Ok(Exit::Done);
        }
        text.clear();
        last = page.into_iter().next_back();
    }
    text.push_str("]\n");
    print(&text)
}

/// The time this long before `now`, in milliseconds since 1970.
fn since_ms(now: SystemTime, before: Duration) -> i64 {
    now.checked_sub(before).map_or(0, milliseconds)
}
