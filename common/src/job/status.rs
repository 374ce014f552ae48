//! What a job writes to `status.json`.

use std::collections::BTreeSet;

use super::Job;
use crate::domain::{Catalog, Ordinal};
use crate::job::FailedBoard;
use crate::runtime::fs::FsError;
use crate::runtime::memory::{self, Figures};
use crate::runtime::timestamp;
use crate::store::{FailedFetch, Status};

/// The memory figures.
pub(super) fn of_memory(figures: &Figures) -> Status {
    Status {
        memory_alloc_mb: Some(memory::mb(figures.allocated_bytes)),
        memory_sys_mb: Some(memory::mb(figures.resident_bytes)),
        memory_peak_rss_mb: Some(memory::mb(figures.peak_rss_bytes)),
        ..Status::default()
    }
}

/// The failed boards, for `status.json` and the summary.
pub(super) fn failed_fetches(catalog: &Catalog, failed: &[FailedBoard]) -> Vec<FailedFetch> {
    let describe = |failed: &FailedBoard| {
        let (track, class) = catalog.at(failed.ordinal)?;
        Some(FailedFetch {
            track_name: track.name.clone(),
            track_id: track.id.to_string(),
            class_id: class.id.to_string(),
            error: failed.error.clone(),
            timestamp: timestamp(failed.at),
        })
    };
    failed.iter().filter_map(describe).collect()
}

/// The failures of earlier runs that still hold: boards out of this run's scope, or not reached.
pub(super) fn earlier_failures(
    job: &Job,
    in_scope: impl Fn(Ordinal) -> bool,
    not_reached: &BTreeSet<Ordinal>,
) -> Result<Vec<FailedFetch>, FsError> {
    let holds = |it: &FailedFetch| {
        let ordinal = it.board().and_then(|board| job.catalog.ordinal(board));
        ordinal.is_some_and(|it| !in_scope(it) || not_reached.contains(&it))
    };
    Ok(job.publisher.status.failed_fetches()?.into_iter().filter(holds).collect())
}
