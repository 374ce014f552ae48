//! Results, as text for people and as JSON for scripts. Pure.

mod heap;
mod history;
mod kernel;
mod live;
mod output;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod units;
mod verdict;

pub(crate) use heap::{Growth, Heap, ProfileSwitched, amount};
pub(crate) use history::{History, Runs, sample_line};
pub(crate) use kernel::{Connections, Descriptors};
pub(crate) use live::{Arenas, List, Purges, StatsReport, Tasks, next_run, stats_json};
pub(crate) use output::Report;
pub(crate) use verdict::{Verdicts, growth};
