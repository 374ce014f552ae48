//! `compact`: merges the recordings of past months into one file a month, in the order of boards.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Place};
use crate::error::ArchiveError;
use crate::files::{Compaction, LiveFile, merged_path, night_of};
use crate::location::Location;
use crate::parquet_file::{self, NewParquet};
use crate::verify::{self, Verified};

/// The result of a compaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// The merged files.
    pub months: Vec<LiveFile>,
    /// How many recordings are in them.
    pub recordings: usize,
    /// Their size.
    pub bytes_before: u64,
    /// Files that were removed.
    pub removed: usize,
}

impl std::fmt::Display for Compacted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let after: u64 = self.months.iter().map(|it| it.bytes).sum();
        let Self { months, recordings, bytes_before, removed } = self;
        writeln!(
            f,
            "merged {recordings} recordings ({bytes_before} bytes) into {} files ({after} bytes)",
            months.len()
        )?;
        if *removed > 0 { writeln!(f, "removed {removed} files that no longer count") } else { Ok(()) }
    }
}

/// Merges the recordings of all months before the current one, a month at a time, and removes files that no longer count.
///
/// # Errors
/// If the archive fails, or another process compacts it at the same time.
pub async fn compact(
    location: &Location,
    place: &Place,
    keep: Duration,
    now: Timestamp,
    stop: &CancellationToken,
) -> Result<Compacted, ArchiveError> {
    let mut result = Compacted::default();
    let files = location.files().await?;
    result.removed += location.remove_dead(&files, keep, now).await?;
    let this_month = now.strftime("%Y-%m").to_string();
    loop {
        let files = location.files().await?;
        let Some((month, recordings)) = first_month(files.recordings(), &this_month) else { break };
        let merged = merge(location, place, &month, &recordings, stop).await?;
        let (number, before) = &files.compaction;
        let compaction = Compaction {
            files: before.files.iter().cloned().chain([merged.clone()]).collect(),
            made_ms: Timestamp::now().as_millisecond(),
        };
        if !location.add_compaction(number + 1, &compaction).await? {
            return Err(ArchiveError::Contended("another process compacts this archive".to_owned()));
        }
        tracing::info!(month, recordings = recordings.len(), bytes = merged.bytes, "merged a month");
        result.recordings += recordings.len();
        result.bytes_before += recordings.iter().map(|it| it.bytes).sum::<u64>();
        result.months.push(merged);
    }
    if keep.is_zero() {
        let files = location.files().await?;
        result.removed += location.remove_dead(&files, keep, Timestamp::now()).await?;
    }
    Ok(result)
}

/// The first recordings that belong to one month, if that is over.
fn first_month(recordings: &[LiveFile], this_month: &str) -> Option<(String, Vec<LiveFile>)> {
    let month = |it: &LiveFile| night_of(&it.path).and_then(|it| it.get(..7)).map(str::to_owned);
    let first = month(recordings.first()?)?;
    // Recordings are in order of time, except around midnight.
    let same = recordings.iter().take_while(|it| month(it).as_ref() == Some(&first)).cloned().collect();
    (first.as_str() < this_month).then_some((first, same))
}

/// Writes the recordings as one file: entries by board, version and position, then the versions in a row group of their own.
async fn merge(
    location: &Location,
    place: &Place,
    month: &str,
    recordings: &[LiveFile],
    stop: &CancellationToken,
) -> Result<LiveFile, ArchiveError> {
    let (Some(first), Some(last)) = (recordings.first(), recordings.last()) else {
        return Err(ArchiveError::Usage("nothing to merge".to_owned()));
    };
    let engine = Engine::over_recordings(location, recordings, place)?;
    let mut file = NewParquet::create(location, parquet_file::merged())?;
    let copy = async {
        let order = "ORDER BY track_id, class_id, observed_at, position";
        for condition in ["position > 0", "position = 0"] {
            let query = engine.plan(&format!("SELECT * FROM recordings WHERE {condition} {order}")).await?;
            let mut rows = engine.stream(query).await?;
            while let Some(batch) = futures_util::StreamExt::next(&mut rows).await {
                if stop.is_cancelled() {
                    return Err(ArchiveError::Stopped);
                }
                file.write(&batch?).await?;
            }
            file.begin_row_group().await?;
        }
        Ok(())
    };
    if let Err(error) = copy.await {
        file.discard().await;
        return Err(error);
    }
    let staged = file.finish().await?;
    let (first, last) = (first.first, last.last);
    let path = merged_path(month, first, last, Timestamp::now().as_nanosecond());
    if !location.commit(&staged, &path).await? {
        return Err(ArchiveError::Contended(format!("another process has written {path}")));
    }
    let merged = LiveFile { bytes: location.length(&location.path(&path)).await?, path, first, last };
    // Its sources are removed one day.
    verify::check(location, &merged, &mut Verified::default(), stop).await?;
    Ok(merged)
}
