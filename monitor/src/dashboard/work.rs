//! What jobs did: the last runs, what the cache has, and which boards failed.

use r3e_common::runtime::config::Config;
use r3e_common::store::StatusView;
use serde_json::{Value, json};

use crate::history::{Run, latest_runs};
use crate::report::runs_json;

/// So many of the last runs are shown as bands in the charts.
const MOST_RUNS: u32 = 200;

/// So many failed boards are shown; more are counted.
const MOST_FAILED: usize = 100;

/// Where what jobs did is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The history, and what finished jobs left.
    Runs,
    /// `status.json`.
    Status,
}

impl Origin {
    /// What it is called in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Status => "status",
        }
    }
}

/// What jobs did.
#[derive(Debug)]
pub(crate) struct Work {
    /// The latest last.
    pub(crate) runs: Vec<Run>,
    /// None where there is no `status.json`.
    pub(crate) status: Option<StatusView>,
    /// What could not be read, and why.
    pub(crate) trouble: Vec<(Origin, String)>,
}

impl Work {
    /// Reads it. What cannot be read is told in it, and the rest is there.
    pub(crate) fn read(config: &Config) -> Self {
        Self::of(read_runs(config), read_status(config))
    }

    /// Of what was read of both, or why it could not be.
    pub(crate) fn of(runs: Result<Vec<Run>, String>, status: Result<Option<StatusView>, String>) -> Self {
        let mut trouble = Vec::new();
        let runs = runs.unwrap_or_else(|error| {
            trouble.push((Origin::Runs, error));
            Vec::new()
        });
        let status = status.unwrap_or_else(|error| {
            trouble.push((Origin::Status, error));
            None
        });
        Self { runs, status, trouble }
    }

    /// For the page.
    pub(crate) fn to_json(&self) -> Value {
        let status = self
            .status
            .as_ref()
            .map(|it| json!({ "figures": it.figures, "failed": it.failed, "failed_count": it.failed_count }));
        let trouble: Vec<&str> = self.trouble.iter().map(|(_, why)| why.as_str()).collect();
        json!({ "runs": runs_json(&self.runs), "cache": status, "trouble": trouble })
    }
}

/// The last runs.
pub(crate) fn read_runs(config: &Config) -> Result<Vec<Run>, String> {
    latest_runs(&config.monitor.history, &config.runtime.dir, MOST_RUNS).map_err(|error| error.to_string())
}

/// What `status.json` tells; none where there is none.
pub(crate) fn read_status(config: &Config) -> Result<Option<StatusView>, String> {
    StatusView::read(&config.cache.dir, MOST_FAILED).map_err(|error| error.to_string())
}
