//! How much is recorded.

use std::collections::BTreeSet;

use datafusion::arrow::array::AsArray as _;
use datafusion::arrow::datatypes::{Int64Type, TimestampMillisecondType};
use jiff::Timestamp;
use serde::Serialize;

use crate::engine::Engine;
use crate::error::ArchiveError;
use crate::files::Files;

/// The totals of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Days, in UTC, with a recording.
    pub nights: u64,
    /// Recordings.
    pub runs: u64,
    /// Boards with a version.
    pub boards: u64,
    /// Versions of boards.
    pub versions: u64,
    /// Entries.
    pub rows: u64,
    /// Parquet files.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// When the first recording was made.
    #[serde(rename = "first_recorded_at")]
    pub first: Option<Timestamp>,
    /// When the last recording was made.
    #[serde(rename = "recorded_at")]
    pub last: Option<Timestamp>,
}

impl Stats {
    /// Counts what these files hold.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub async fn of(engine: &Engine, files: &Files) -> Result<Self, ArchiveError> {
        let count = async |statement: &str| {
            let rows = engine.rows(statement).await?;
            let count = rows.first().map_or(0, |it| it.column(0).as_primitive::<Int64Type>().value(0));
            Ok::<_, ArchiveError>(u64::try_from(count).unwrap_or_default())
        };
        let boards =
            count("SELECT count(*) FROM (SELECT DISTINCT track_id, class_id FROM archive_rows WHERE position = 0)")
                .await?;
        let all = count("SELECT count(*) FROM archive_rows").await?;
        let runs = engine
            .rows("SELECT observed_at, count(*) FROM archive_rows WHERE position = 0 GROUP BY observed_at ORDER BY observed_at")
            .await?;
        let versions: i64 = runs.iter().flat_map(|it| it.column(1).as_primitive::<Int64Type>().values()).sum();
        let times = runs.iter().flat_map(|it| it.column(0).as_primitive::<TimestampMillisecondType>().values());
        let times: Vec<Timestamp> = times.filter_map(|it| Timestamp::from_millisecond(*it).ok()).collect();
        let nights: BTreeSet<String> = times.iter().map(|it| it.strftime("%Y-%m-%d").to_string()).collect();
        let versions = u64::try_from(versions).unwrap_or_default();
        Ok(Self {
            nights: nights.len() as u64,
            runs: times.len() as u64,
            boards,
            versions,
            rows: all - versions,
            files: files.live.len(),
            bytes: files.live.iter().map(|it| it.bytes).sum(),
            first: times.first().copied(),
            last: times.last().copied(),
        })
    }
}

impl std::fmt::Display for Stats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { nights, runs, boards, versions, rows, files, bytes, first, last } = self;
        writeln!(f, "{nights} nights, {runs} recordings, {boards} boards, {versions} versions, {rows} entries")?;
        writeln!(f, "{files} files, {bytes} bytes")?;
        match (first, last) {
            (Some(first), Some(last)) => writeln!(f, "from {first} to {last}"),
            _ => Ok(()),
        }
    }
}
