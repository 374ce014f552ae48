//! `history`, `report` and `runs`: the past.

use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use r3e_common::runtime::exit::{Exit, Failure};
use serde_json::json;

use super::context::{Context, Written, print, try_print};
use crate::cli::{HistoryArguments, ReportArguments, RunsArguments};
use crate::dashboard::write_report;
use crate::history::{Reader, latest_runs, milliseconds, whole_ms};
use crate::report::{History, Report as _, Runs, sample_line};

/// Rows into which a time span is divided.
const SLOTS: u32 = 24;

impl Context<'_> {
    fn zone(&self) -> TimeZone {
        self.config.schedule.time_zone.clone().unwrap_or_else(TimeZone::system)
    }

    /// `history`
    pub(crate) fn history(self, asked: &HistoryArguments) -> Result<Exit, Failure> {
        let file = self.config.monitor.history.clone();
        let from_ms = since_ms((self.clock)(), asked.since);
        let reader = Reader::open(&file)?;
        if self.json {
            return all(reader.as_ref(), from_ms);
        }
        let slot_ms = whole_ms(asked.since / SLOTS);
        let rows = reader.map_or_else(|| Ok(Vec::new()), |it| it.condensed(from_ms, slot_ms))?;
        print(&History { rows, since: asked.since, file, zone: self.zone() }.to_string())
    }

    /// `report`
    pub(crate) async fn report(self, asked: &ReportArguments) -> Result<Exit, Failure> {
        write_report(self.config, &asked.output, asked.since, self.clock).await?;
        let file = asked.output.display().to_string();
        print(&if self.json { format!("{}\n", json!({ "file": file })) } else { format!("{file}\n") })
    }

    /// `runs`
    pub(crate) fn runs(self, asked: &RunsArguments) -> Result<Exit, Failure> {
        let rows = latest_runs(&self.config.monitor.history, &self.config.runtime.dir, asked.last)?;
        print(&Runs { rows, zone: self.zone() }.show(self.json))
    }
}

/// Prints all samples as a JSON array, page by page: there may be millions.
fn all(reader: Option<&Reader>, from_ms: i64) -> Result<Exit, Failure> {
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
            if try_print(&text)? == Written::Closed {
                return Ok(Exit::Done);
            }
            text.clear();
            last = page.into_iter().next_back();
        }
    }
    text.push_str("]\n");
    print(&text)
}

/// That long before `now`, in milliseconds since 1970.
pub(super) fn since_ms(now: SystemTime, before: Duration) -> i64 {
    now.checked_sub(before).map_or(0, milliseconds)
}
