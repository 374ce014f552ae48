//! `history` and `runs`: what was.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use r3e_common::process::exit::Exit;

use super::{Asked, Written, print, try_print};
use crate::cli::{HistoryArguments, RunsArguments};
use crate::history::{Found, Reader, Run, not_taken_in};
use crate::report::{History, Report as _, Runs, sample_line};

/// People see a span of time in so many parts.
const SLOTS: u32 = 24;

impl Asked<'_> {
    fn zone(&self) -> TimeZone {
        self.config.schedule.time_zone.clone().unwrap_or_else(TimeZone::system)
    }

    /// `history`
    pub(crate) fn history(self, asked: &HistoryArguments) -> anyhow::Result<Exit> {
        let file = self.config.monitor.history.clone();
        let from_ms = milliseconds((self.clock)(), asked.since);
        let reader = Reader::open(&file)?;
        if self.json {
            return all(reader.as_ref(), from_ms);
        }
        let slot_ms = i64::try_from((asked.since / SLOTS).as_millis()).unwrap_or(i64::MAX);
        let rows = reader.map_or_else(|| Ok(Vec::new()), |it| it.condensed(from_ms, slot_ms))?;
        print(&History { rows, since: asked.since, file, zone: self.zone() }.to_string())
    }

    /// `runs`
    pub(crate) fn runs(self, asked: &RunsArguments) -> anyhow::Result<Exit> {
        // First what is in no database yet: what a watch takes in meanwhile is then seen twice, not never.
        let records = not_taken_in(&self.config.runtime.dir)?;
        let taken_in = Reader::open(&self.config.monitor.history)?.map(|it| it.runs(asked.last)).transpose()?;
        let rows = merge(records, taken_in.unwrap_or_default(), asked.last);
        print(&Runs { rows, zone: self.zone() }.show(self.json))
    }
}

/// The last of both, the latest last. Where a record says what was only concluded, the record counts.
fn merge(records: Vec<Found>, taken_in: Vec<Run>, last: u32) -> Vec<Run> {
    let mut rows: Vec<Run> = Vec::new();
    for found in records {
        match found.run {
            Ok(run) => rows.push(run),
            Err(error) => tracing::warn!("left out: {error}"),
        }
    }
    rows.extend(taken_in);
    let mut seen = HashSet::new();
    rows.retain(|it| seen.insert((it.program.clone(), it.pid, it.started_ms)));
    rows.sort_by_key(|it| it.ended_ms);
    let surplus = rows.len().saturating_sub(usize::try_from(last).unwrap_or(usize::MAX));
    rows.drain(..surplus);
    rows
}

/// All samples as one array of JSON, written while they are read: there may be millions.
fn all(reader: Option<&Reader>, from_ms: i64) -> anyhow::Result<Exit> {
    let mut text = String::from("[");
    let mut last = None;
    let mut separator = "";
    if let Some(reader) = reader {
        loop {
            let page = reader.samples(from_ms, last.as_ref())?;
            if page.is_empty() {
                break;
            }
            for sample in &page {
                text.push_str(separator);
                text.push_str(&sample_line(sample));
                separator = ",";
            }
            if try_print(&text)? == Written::NobodyReads {
                return Ok(Exit::Done);
            }
            text.clear();
            last = page.into_iter().next_back();
        }
    }
    text.push_str("]\n");
    print(&text)
}

/// So long before that moment, in milliseconds since 1970.
pub(super) fn milliseconds(now: SystemTime, before: Duration) -> i64 {
    let moment = now.checked_sub(before).and_then(|it| it.duration_since(SystemTime::UNIX_EPOCH).ok());
    moment.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX))
}
