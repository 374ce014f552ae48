//! Results as text for people. Pure. As JSON, results are what serde makes of the same data.

mod heap;
mod history;
mod kernel;
mod live;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod units;
mod verdict;

use std::path::Path;
use std::time::Duration;

pub(crate) use heap::{difference, heap, profile_state};
pub(crate) use history::{history, runs, runs_json, sample_line};
pub(crate) use kernel::{connections, descriptors};
pub(crate) use live::{arenas, list, next_run, purges, stats, tasks, worst_first};
pub use units::bytes;
pub use verdict::growth;
pub(crate) use verdict::{Judged, Subject, verdicts, verdicts_json};

fn no_samples(since: Duration, file: &Path) -> String {
    let (since, file) = (humantime::format_duration(since), file.display());
    format!("no samples of the last {since} in {file}; r3e-monitor watch records them\n")
}
