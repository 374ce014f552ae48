//! What jobs did: the last runs, what the cache has, and which boards failed.

use std::path::Path;

use jiff::tz::TimeZone;
use r3e_common::process::config::Config;
use r3e_common::store::StatusView;
use serde_json::{Value, json};

use crate::history::{Run, latest_runs};
use crate::report::{Report as _, Runs};

/// So many of the last runs are shown as bands in the charts.
const MOST_RUNS: u32 = 200;

/// So many failed boards are shown; more are counted.
const MOST_FAILED: usize = 100;

/// What jobs did.
#[derive(Debug)]
pub(crate) struct Work {
    /// The latest last.
    pub(crate) runs: Vec<Run>,
    /// None where there is no `status.json`.
    pub(crate) status: Option<StatusView>,
    /// What could not be read.
    pub(crate) trouble: Vec<String>,
}

impl Work {
    /// Reads it. What cannot be read is told in it, and the rest is there.
    pub(crate) fn read(config: &Config) -> Self {
        let mut trouble = Vec::new();
        let runs = latest_runs(&config.monitor.history, &config.runtime.dir, MOST_RUNS);
        let runs = runs.unwrap_or_else(|error| {
            trouble.push(error.to_string());
            Vec::new()
        });
        let status = Self::status(&config.cache.dir).unwrap_or_else(|error| {
            trouble.push(error);
            None
        });
        Self { runs, status, trouble }
    }

    fn status(cache: &Path) -> Result<Option<StatusView>, String> {
        StatusView::read(cache, MOST_FAILED).map_err(|error| error.to_string())
    }

    /// For the page.
    pub(crate) fn to_json(&self) -> Value {
        let runs = Runs { rows: self.runs.clone(), zone: TimeZone::UTC }.to_json();
        let status = self
            .status
            .as_ref()
            .map(|it| json!({ "figures": it.figures, "failed": it.failed, "failed_count": it.failed_count }));
        json!({ "runs": runs, "cache": status, "trouble": self.trouble })
    }
}
