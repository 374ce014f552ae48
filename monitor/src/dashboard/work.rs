//! What jobs did: the last runs, the state of the cache, the boards that failed, and the totals of the archive.

use r3e_common::runtime::config::Config;
use r3e_common::store::{ArchiveStatus, StatusView};
use serde_json::{Value, json};

use crate::history::{Run, latest_runs};
use crate::report::runs_json;

/// Upper bound of the runs, which are bands in the charts.
const MAX_RUNS: u32 = 200;

/// Upper bound of the failed boards that are listed; more are only counted.
const MAX_FAILED: usize = 100;

/// What jobs did, each part as far as it can be read.
#[derive(Debug)]
pub(crate) struct Work {
    /// The latest last.
    pub(crate) runs: Result<Vec<Run>, String>,
    /// `None` if there is no `status.json`.
    pub(crate) status: Result<Option<StatusView>, String>,
    /// `None` if there is no `archive/status.json`.
    pub(crate) archive: Result<Option<ArchiveStatus>, String>,
}

impl Work {
    pub(crate) fn read(config: &Config) -> Self {
        Self { runs: read_runs(config), status: read_status(config), archive: read_archive(config) }
    }

    /// Why parts cannot be read.
    pub(crate) fn errors(&self) -> impl Iterator<Item = &str> {
        let errors = [self.runs.as_ref().err(), self.status.as_ref().err(), self.archive.as_ref().err()];
        errors.into_iter().flatten().map(String::as_str)
    }

    pub(crate) fn to_json(&self) -> Value {
        let status = self.status.as_ref().ok().and_then(Option::as_ref);
        let status =
            status.map(|it| json!({ "figures": it.figures, "failed": it.failed, "failed_count": it.failed_count }));
        let runs = runs_json(self.runs.as_deref().unwrap_or_default());
        let archive = self.archive.as_ref().ok().and_then(Option::as_ref);
        json!({ "runs": runs, "cache": status, "archive": archive, "trouble": self.errors().collect::<Value>() })
    }
}

pub(crate) fn read_runs(config: &Config) -> Result<Vec<Run>, String> {
    latest_runs(&config.monitor.history, &config.runtime.dir, MAX_RUNS).map_err(|error| error.to_string())
}

/// `None` if there is no `status.json`.
pub(crate) fn read_status(config: &Config) -> Result<Option<StatusView>, String> {
    StatusView::read(&config.cache.dir, MAX_FAILED).map_err(|error| error.to_string())
}

/// `None` if there is no `archive/status.json`.
pub(crate) fn read_archive(config: &Config) -> Result<Option<ArchiveStatus>, String> {
    ArchiveStatus::read(&config.cache.dir).map_err(|error| error.to_string())
}
