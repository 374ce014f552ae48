//! The small JSON files in the cache that web pages read: how much is recorded, and how the record of each board fell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use datafusion::arrow::array::{Array as _, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, TimestampMillisecondType, UInt32Type, UInt64Type};
use jiff::Timestamp;
use r3e_common::domain::Combination;
use r3e_common::runtime::fs::{self, FsError};
use r3e_common::store::{ArchiveRun, ArchiveStatus};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Recorded, Source, combination};
use crate::engine::{Engine, Place};
use crate::error::ArchiveError;
use crate::location::Location;
use crate::stats::Stats;

/// Their folder in the cache.
const FOLDER: &str = "archive";

/// Held while they are written.
const LOCK: &str = ".lock";

/// Writes `archive/status.json`, and `archive/{board}.json` of each board with more than one version that has `changed`.
pub(super) async fn write(
    location: &Location,
    source: &Source,
    place: &Place,
    recorded: &Recorded,
    changed: &[Combination],
) -> Result<(), ArchiveError> {
    let folder = source.cache.folder().join(FOLDER);
    fs::publish_folders(&folder)?;
    // Released when the process ends. The archive is read after that, so the last writer writes the newest state.
    let _lock = locked(folder.join(LOCK)).await?;
    let files = &location.files().await?;
    let engine = Engine::open(location, files, place).await?;
    let Stats { nights, runs, versions, rows, bytes, .. } = Stats::of(&engine, files).await?;
    // Unless the recording before was killed on the way here, only what has changed since is to be written.
    // A status that cannot be read counts as none: all boards are written again.
    let before = ArchiveStatus::read(source.cache.folder()).ok().flatten().map(|it| it.runs);
    let is_complete = before == Some(runs - u64::from(recorded.file.is_some()));
    let changed: BTreeSet<Combination> = changed.iter().copied().collect();
    let has_changed = !is_complete || !changed.is_empty();
    let records = if has_changed { records(&engine).await? } else { BTreeMap::new() };
    for (board, records) in records {
        let path = folder.join(format!("{board}.json"));
        if !is_complete || changed.contains(&board) {
            publish(&path, &json!({"board": board.to_string(), "records": records}))?;
        }
    }
    let Recorded { boards, gone, damaged, rows: recorded_rows, .. } = recorded;
    let [boards, gone, damaged, recorded_rows] = [boards, gone, damaged, recorded_rows].map(|it| *it as u64);
    let last_run = ArchiveRun { recorded_at: source.at, boards, rows: recorded_rows, gone, damaged };
    let status = ArchiveStatus { recorded_at: source.at, nights, runs, versions, rows, bytes, last_run };
    publish(&folder.join("status.json"), &status)
}

/// Waits for other recordings that write these files.
async fn locked(path: PathBuf) -> Result<File, ArchiveError> {
    let lock = move || {
        let file = fs::open_lock(&path)?;
        file.lock().map_err(|error| FsError::new("lock", &path, error))?;
        Ok(file)
    };
    match tokio::task::spawn_blocking(lock).await {
        Ok(locked) => locked,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn publish(path: &Path, value: &impl Serialize) -> Result<(), ArchiveError> {
    let text = serde_json::to_vec(value).map_err(|error| ArchiveError::Encode(error.to_string()))?;
    let mut before = Vec::new();
    let is_same = fs::read_into(path, &mut before, text.len() as u64)?.is_some() && before == text;
    if is_same { Ok(()) } else { Ok(fs::publish_whole(path, &text)?) }
}

/// The records of each board with more than one version.
async fn records(engine: &Engine) -> Result<BTreeMap<Combination, Vec<Value>>, ArchiveError> {
    let rows = engine
        .rows(
            "SELECT r.track_id, r.class_id, r.observed_at, r.lap_date, r.laptime, r.laptime_ms, r.name, r.driver_id, r.car, r.gain_ms \
             FROM records r JOIN (SELECT track_id, class_id FROM archive_rows WHERE position = 0 GROUP BY track_id, class_id \
             HAVING count(*) > 1) b ON r.track_id = b.track_id AND r.class_id = b.class_id \
             ORDER BY r.track_id, r.class_id, r.observed_at",
        )
        .await?;
    let mut records: BTreeMap<Combination, Vec<Value>> = BTreeMap::new();
    for batch in &rows {
        for row in 0..batch.num_rows() {
            let [track, class] = [0, 1].map(|it| batch.column(it).as_primitive::<UInt32Type>().value(row));
            if let Some(board) = combination(track, class) {
                records.entry(board).or_default().push(record(batch, row));
            }
        }
    }
    Ok(records)
}

fn record(batch: &RecordBatch, row: usize) -> Value {
    let time = |column: usize| {
        let times = batch.column(column).as_primitive::<TimestampMillisecondType>();
        times
            .is_valid(row)
            .then(|| Timestamp::from_millisecond(times.value(row)).ok())
            .flatten()
            .map(|it| it.to_string())
    };
    let text = |column: usize| {
        let texts = batch.column(column).as_string_opt::<i32>();
        texts.filter(|it| it.is_valid(row)).map(|it| it.value(row))
    };
    let (lap_ms, driver) = (batch.column(5).as_primitive::<UInt32Type>(), batch.column(7).as_primitive::<UInt64Type>());
    let gain = batch.column(9).as_primitive::<Int64Type>();
    json!({
        "observed_at": time(2),
        "lap_date": time(3),
        "laptime": text(4),
        "laptime_ms": lap_ms.is_valid(row).then(|| lap_ms.value(row)),
        "driver": text(6),
        "driver_id": driver.is_valid(row).then(|| driver.value(row)),
        "car": text(8),
        "gain_ms": gain.is_valid(row).then(|| gain.value(row)),
    })
}
