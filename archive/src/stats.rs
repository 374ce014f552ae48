//! How much is recorded.

use datafusion::arrow::array::{Array as _, AsArray as _};
use datafusion::arrow::datatypes::{Int64Type, TimestampMillisecondType};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::error::ArchiveError;
use crate::files::Files;

/// The totals of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub first: Option<Timestamp>,
    /// When the last recording was made.
    pub last: Option<Timestamp>,
}

impl Stats {
    /// Counts what these files hold.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub async fn of(engine: &Engine, files: &Files) -> Result<Self, ArchiveError> {
        let versions = engine
            .rows(
                "SELECT count(DISTINCT CAST(observed_at AS DATE)) AS nights, count(DISTINCT observed_at) AS runs, \
                 count(DISTINCT CAST(track_id AS BIGINT) * 4294967296 + class_id) AS boards, count(*) AS versions, \
                 min(observed_at) AS first, max(observed_at) AS last \
                 FROM archive_rows WHERE position = 0",
            )
            .await?;
        let all = engine.rows("SELECT count(*) FROM archive_rows").await?;
        let count = |column: usize| {
            let counts = versions.first().map(|it| it.column(column).as_primitive::<Int64Type>().value(0));
            counts.and_then(|it| u64::try_from(it).ok()).unwrap_or_default()
        };
        let time = |column: usize| {
            let times = versions.first()?.column(column).as_primitive::<TimestampMillisecondType>();
            times.is_valid(0).then(|| Timestamp::from_millisecond(times.value(0)).ok()).flatten()
        };
        let all = all.first().map_or(0, |it| it.column(0).as_primitive::<Int64Type>().value(0));
        Ok(Self {
            nights: count(0),
            runs: count(1),
            boards: count(2),
            versions: count(3),
            rows: u64::try_from(all).unwrap_or_default() - count(3),
            files: files.live.len(),
            bytes: files.live.iter().map(|it| it.bytes).sum(),
            first: time(4),
            last: time(5),
        })
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Self { nights, runs, boards, versions, rows, files, bytes, first, last } = self;
        let time = |it: &Option<Timestamp>| it.map(|it| it.to_string());
        json!({
            "nights": nights, "runs": runs, "boards": boards, "versions": versions, "rows": rows, "files": files, "bytes": bytes,
            "first_recorded_at": time(first), "recorded_at": time(last),
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
