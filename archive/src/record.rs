//! `record`: appends the boards that were published or have vanished since the last recording.
//!
//! What was recorded is read from the archive itself. A thread reads boards and makes rows of them, a few thousand at a time, while
//! the rows before are compressed, so memory holds a row group, not the night.

mod boards;
mod pages;

use std::collections::HashMap;

use datafusion::arrow::array::{Array as _, AsArray as _};
use datafusion::arrow::datatypes::{TimestampMillisecondType, UInt32Type, UInt64Type};
use jiff::Timestamp;
use r3e_common::domain::{Catalog, ClassId, Combination, TrackId};
use r3e_common::runtime::memory;
use r3e_common::store::Cache;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Place};
use crate::error::{ArchiveError, timestamp};
use crate::files::Files;
use crate::location::Location;
use crate::parquet_file::{self, NewParquet};

pub(crate) use boards::Changes;

/// How often a recording starts over because another process recorded at the same time.
const ATTEMPTS: u32 = 5;

/// Batches of rows that are read ahead.
const READ_AHEAD: usize = 1;

/// The result of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Its file; none if nothing had changed.
    pub file: Option<String>,
    /// Boards that changed, vanished ones included.
    pub boards: usize,
    /// Boards that vanished.
    pub gone: usize,
    /// Boards whose files are damaged; they stay as they were recorded.
    pub damaged: usize,
    /// Entries recorded.
    pub rows: usize,
}

impl std::fmt::Display for Recorded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, boards, gone, damaged, rows } = self;
        match file {
            Some(file) => writeln!(f, "recorded {boards} boards ({gone} vanished) with {rows} entries in {file}")?,
            None => writeln!(f, "nothing has changed since the last recording")?,
        }
        if *damaged > 0 { writeln!(f, "{damaged} boards are damaged and were not recorded") } else { Ok(()) }
    }
}

/// What to record.
#[derive(Debug, Clone)]
pub struct Source {
    /// The published boards.
    pub cache: Cache,
    /// Which boards there may be.
    pub catalog: Catalog,
    /// When they were published.
    pub at: Timestamp,
}

/// What the archive has of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) file_id: u64,
    pub(crate) gone: bool,
    pub(crate) size: u32,
    pub(crate) entries_crc: u32,
}

impl Known {
    /// What identifies its entries.
    pub(crate) fn entries(self) -> (u32, u32) {
        (self.size, self.entries_crc)
    }
}

/// Records what has changed, and updates the files that web pages read.
///
/// # Errors
/// If the cache or the archive fails, or other processes keep recording at the same time.
pub async fn record(
    location: &Location,
    source: &Source,
    place: &Place,
    stop: &CancellationToken,
) -> Result<Recorded, ArchiveError> {
    for attempt in 1..=ATTEMPTS {
        let files = location.files().await?;
        let (known, last_ms) = match known(location, &files, place).await {
            Err(error) if error.is_missing() && attempt < ATTEMPTS => {
                tracing::info!("another process removed a file at the same time: comparing again");
                continue;
            }
            known => known?,
        };
        // What the query has used is not needed while rows are written, and the other way round.
        memory::purge_or_log();
        let observed_ms = observed_after(source.at, last_ms);
        let changes = Changes::find(&source.cache, &source.catalog, &known)?;
        let mut recorded = Recorded::default();
        if changes.boards.is_empty() {
            pages::write(location, source, place, &recorded, &[]).await?;
            return Ok(recorded);
        }
        let boards: Vec<Combination> = changes.boards.iter().map(|(board, _)| *board).collect();
        if append(location, source, changes, (files.last() + 1, observed_ms), stop, &mut recorded).await? {
            memory::purge_or_log();
            pages::write(location, source, place, &recorded, &boards).await?;
            return Ok(recorded);
        }
        tracing::info!("another process recorded at the same time: comparing again");
    }
    Err(ArchiveError::Contended("other processes keep recording into this archive".to_owned()))
}

/// The time of a recording: later than the one before, whatever the clock says, so that the latest version is always the last one recorded.
fn observed_after(at: Timestamp, last_ms: Option<i64>) -> i64 {
    let now = at.as_millisecond();
    match last_ms {
        Some(last) if last >= now => {
            // What is no time is shown as 1970; it is as little in the past.
            let last_recording = Timestamp::from_millisecond(last).unwrap_or_default();
            tracing::warn!(%last_recording, time = %at, "the last recording is not in the past: recording right after it");
            last + 1
        }
        _ => now,
    }
}

/// The last version of each board, and the time of the last recording.
async fn known(
    location: &Location,
    files: &Files,
    place: &Place,
) -> Result<(HashMap<Combination, Known>, Option<i64>), ArchiveError> {
    let engine = Engine::open(location, files, place).await?;
    let rows = engine
        .rows(
            "SELECT v.track_id, v.class_id, v.file_id, v.gone, v.observed_at, v.size, v.entries_crc FROM archive_rows v JOIN (SELECT track_id, class_id, \
             max(observed_at) AS observed_at FROM archive_rows WHERE position = 0 GROUP BY track_id, class_id) l \
             ON v.track_id = l.track_id AND v.class_id = l.class_id AND v.observed_at = l.observed_at WHERE v.position = 0",
        )
        .await?;
    let (mut known, mut last_ms) = (HashMap::new(), None);
    for batch in &rows {
        let [track, class, size, entries_crc] = [0, 1, 5, 6].map(|it| batch.column(it).as_primitive::<UInt32Type>());
        let (file_id, gone) = (batch.column(2).as_primitive::<UInt64Type>(), batch.column(3).as_boolean());
        let observed = batch.column(4).as_primitive::<TimestampMillisecondType>();
        for row in 0..batch.num_rows() {
            if let Some(board) = combination(track.value(row), class.value(row)) {
                known.insert(
                    board,
                    Known {
                        file_id: file_id.value(row),
                        gone: gone.value(row),
                        size: size.value(row),
                        entries_crc: entries_crc.value(row),
                    },
                );
            }
            last_ms = last_ms.max(observed.is_valid(row).then(|| observed.value(row)));
        }
    }
    Ok((known, last_ms))
}

/// The board of two ids in a file; none for ids that no board has.
pub(crate) fn combination(track: u32, class: u32) -> Option<Combination> {
    Some(Combination { track: TrackId::new(track)?, class: ClassId::new(class)? })
}

/// Adds a recording with these changes. Returns whether it counts.
async fn append(
    location: &Location,
    source: &Source,
    changes: Changes,
    (number, observed_ms): (u64, i64),
    stop: &CancellationToken,
    recorded: &mut Recorded,
) -> Result<bool, ArchiveError> {
    let (sender, mut batches) = mpsc::channel(READ_AHEAD);
    let cache = source.cache.clone();
    let stopped = stop.clone();
    let reading = tokio::task::spawn_blocking(move || changes.read(&cache, observed_ms, &stopped, &sender));
    let mut file = NewParquet::create(location, parquet_file::recording())?;
    let mut written = Ok(());
    while let Some(batch) = batches.recv().await {
        written = file.write(&batch).await;
        if written.is_err() {
            break;
        }
    }
    // Stops the reader if it is still sending.
    drop(batches);
    let read = match reading.await {
        Ok(read) => read,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    let mut read = match written.and(read) {
        Ok(read) => read,
        Err(error) => {
            file.discard().await;
            return Err(error);
        }
    };
    if read.versions.is_empty() {
        // All that changed is damaged.
        recorded.damaged = read.damaged;
        file.discard().await;
        return Ok(true);
    }
    let versions = read.versions.take().map_err(datafusion::error::DataFusionError::from)?;
    let mut written = file.begin_row_group().await;
    if written.is_ok() {
        written = file.write(&versions).await;
    }
    if let Err(error) = written {
        file.discard().await;
        return Err(error);
    }
    let staged = file.finish().await?;
    let night = timestamp(observed_ms)?.strftime("%Y-%m-%d").to_string();
    let file = location.commit_recording(&staged, &night, number).await?;
    let counts = file.is_some();
    *recorded = Recorded { file, boards: read.boards, gone: read.gone, damaged: read.damaged, rows: read.rows };
    Ok(counts)
}
