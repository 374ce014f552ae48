//! The runs that were last, from the history and from what finished jobs left that is not in it yet.

use std::collections::HashSet;
use std::path::Path;

use super::error::HistoryError;
use super::read::Reader;
use super::records::{Found, Run, not_taken_in};

/// So many of the last runs at most, the latest last.
///
/// # Errors
/// When the history or the folder of the records is there and cannot be read.
pub(crate) fn latest_runs(history: &Path, runtime_dir: &Path, most: u32) -> Result<Vec<Run>, HistoryError> {
    // First what is in no database yet: what a watch takes in meanwhile is then seen twice, not never.
    let records = not_taken_in(runtime_dir)?;
    let taken_in = Reader::open(history)?.map(|it| it.runs(most)).transpose()?;
    Ok(merge(records, taken_in.unwrap_or_default(), most))
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
    rows.retain(|it| seen.insert((it.program.clone(), it.pid, it.pid_namespace, it.started_ms)));
    rows.sort_by_key(|it| it.ended_ms);
    let surplus = rows.len().saturating_sub(usize::try_from(last).unwrap_or(usize::MAX));
    rows.drain(..surplus);
    rows
}
