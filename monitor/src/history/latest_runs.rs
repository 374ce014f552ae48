//! The latest runs, from the history and from records that are not in it yet.

use std::collections::HashSet;
use std::path::Path;

use super::error::HistoryError;
use super::read::Reader;
use super::records::{Run, unread_records};

/// The last `limit` runs, the latest last: those in the history, and those whose records are not in it yet.
pub(crate) fn latest_runs(history: &Path, runtime_dir: &Path, limit: u32) -> Result<Vec<Run>, HistoryError> {
    // Records first: one that a watch imports meanwhile is then seen twice, not never.
    let mut runs = Vec::new();
    for found in unread_records(runtime_dir)? {
        match found.run {
            Ok(run) => runs.push(run),
            Err(error) => tracing::warn!("left out: {error}"),
        }
    }
    if let Some(reader) = Reader::open(history)? {
        runs.extend(reader.runs(limit)?);
    }
    // If a run was seen twice, keep the first occurrence, which is the record.
    let mut seen = HashSet::new();
    runs.retain(|it| seen.insert((it.program.clone(), it.pid, it.pid_namespace, it.started_ms)));
    runs.sort_by_key(|it| it.ended_ms);
    let surplus = runs.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    runs.drain(..surplus);
    Ok(runs)
}
