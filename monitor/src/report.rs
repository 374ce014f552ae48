//! What was found, as text for people and as JSON for scripts. Nothing here asks or reads anything.

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

/// What is said where the history has nothing of that time.
fn no_samples(f: &mut fmt::Formatter<'_>, since: Duration, file: &Path) -> fmt::Result {
    let (since, file) = (humantime::format_duration(since), file.display());
    writeln!(f, "no samples of the last {since} in {file}; r3e-monitor watch takes them")
}

/// A result: a text, or one line of JSON.
pub(crate) trait Report: fmt::Display {
    /// For scripts.
    fn to_json(&self) -> Value;

    /// As it was asked for.
    fn show(&self, json: bool) -> String {
        if json { format!("{}\n", self.to_json()) } else { self.to_string() }
    }
}
