//! Results, as text for people and as JSON for scripts. Pure.

mod heap;
mod history;
mod kernel;
mod live;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod units;
mod verdict;

pub(crate) use heap::{Growth, Heap, ProfileSwitched, amount};
pub(crate) use history::{History, Runs, sample_line};
pub(crate) use kernel::{Connections, Descriptors};
pub(crate) use live::{Arenas, List, Purges, StatsReport, Tasks, next_run, stats_json};
pub(crate) use verdict::{Verdicts, growth};

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// The report of an empty history.
fn no_samples(f: &mut fmt::Formatter<'_>, since: Duration, file: &Path) -> fmt::Result {
    let (since, file) = (humantime::format_duration(since), file.display());
    writeln!(f, "no samples of the last {since} in {file}; r3e-monitor watch records them")
}

/// A result.
pub(crate) trait Report: fmt::Display {
    /// As JSON.
    fn to_json(&self) -> Value;

    /// As text, or as one line of JSON.
    fn show(&self, json: bool) -> String {
        if json { format!("{}\n", self.to_json()) } else { self.to_string() }
    }
}
