//! `restore`: writes board files as they stood at a time, as a cache that a loader takes over.

use std::path::Path;
use std::time::{Duration, SystemTime};

use datafusion::arrow::array::{Array as _, AsArray as _, StringArray};
use datafusion::arrow::datatypes::{TimestampMillisecondType, UInt32Type};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use r3e_common::domain::{Combination, Validators};
use r3e_common::runtime::fs::{self, FsError, NewFile};
use r3e_common::store::{BoardEncoder, Cache};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::{ArchiveError, timestamp};
use crate::questions::time;
use crate::record::combination;
use crate::schema::EntriesChecksum;

/// The result of a restoration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Boards written.
    pub boards: usize,
    /// Entries in them.
    pub entries: usize,
}

impl std::fmt::Display for Restored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "wrote {} boards with {} entries", self.boards, self.entries)
    }
}

/// A board as it stood.
struct Standing {
    board: Combination,
    observed_ms: i64,
    size: usize,
    entries_crc: u32,
    track: String,
}

/// Writes the boards that stood at a time into a folder, which must be empty or missing.
///
/// # Errors
/// If the folder has files, or the archive or the disk fails.
pub async fn restore(
    engine: &Engine,
    at: Timestamp,
    into: &Path,
    stop: &CancellationToken,
) -> Result<Restored, ArchiveError> {
    fs::publish_folders(into)?;
    if let Some(found) = fs::list(into)?.first() {
        let problem = format!("--into {}: expected an empty folder, found {}", into.display(), found.display());
        return Err(ArchiveError::Usage(problem));
    }
    let latest = format!(
        "(SELECT track_id, class_id, max(observed_at) AS observed_at FROM archive_rows WHERE position = 0 AND observed_at <= {} \
         GROUP BY track_id, class_id)",
        time(at.as_millisecond())
    );
    let same = "r.track_id = l.track_id AND r.class_id = l.class_id AND r.observed_at = l.observed_at";
    let query = format!(
        "SELECT r.entry FROM archive_rows r JOIN {latest} l ON {same} WHERE r.position > 0 \
         ORDER BY r.track_id, r.class_id, r.position"
    );
    let mut entries = Texts { rows: engine.stream(engine.plan(&query).await?).await?, texts: None };
    let (cache, mut restored) = (Cache::new(into), Restored::default());
    for standing in standing(engine, &latest, same).await? {
        if stop.is_cancelled() {
            return Err(ArchiveError::Stopped);
        }
        restored.entries += standing.size;
        restored.boards += 1;
        write(&standing, &mut entries, &cache).await?;
    }
    fs::sync_file_system(into)?;
    Ok(restored)
}

/// The boards that stood, by track and class.
async fn standing(engine: &Engine, latest: &str, same: &str) -> Result<Vec<Standing>, ArchiveError> {
    let query = format!(
        "SELECT r.track_id, r.class_id, r.observed_at, r.size, r.entries_crc, r.track FROM archive_rows r JOIN {latest} l ON {same} \
         WHERE r.position = 0 AND NOT r.gone ORDER BY r.track_id, r.class_id"
    );
    let mut boards = Vec::new();
    for batch in engine.rows(&query).await? {
        let number = |column: usize| batch.column(column).as_primitive::<UInt32Type>();
        let (observed, tracks) = (batch.column(2).as_primitive::<TimestampMillisecondType>(), text(batch.column(5)));
        for row in 0..batch.num_rows() {
            let Some(board) = combination(number(0).value(row), number(1).value(row)) else { continue };
            boards.push(Standing {
                board,
                observed_ms: observed.value(row),
                size: number(3).value(row) as usize,
                entries_crc: number(4).value(row),
                track: if tracks.is_valid(row) { tracks.value(row).to_owned() } else { String::new() },
            });
        }
    }
    Ok(boards)
}

/// The entries of all boards, one after another.
struct Texts {
    rows: datafusion::physical_plan::SendableRecordBatchStream,
    texts: Option<(StringArray, usize)>,
}

impl Texts {
    async fn next(&mut self) -> Result<Option<String>, ArchiveError> {
        loop {
            if let Some((texts, row)) = &mut self.texts
                && *row < texts.len()
            {
                *row += 1;
                return Ok(Some(texts.value(*row - 1).to_owned()));
            }
            let Some(batch) = self.rows.next().await else { return Ok(None) };
            self.texts = Some((text(batch?.column(0)), 0));
        }
    }
}

async fn write(standing: &Standing, entries: &mut Texts, cache: &Cache) -> Result<(), ArchiveError> {
    let Standing { board, observed_ms, size, entries_crc, track } = standing;
    let damaged =
        |problem: &str| ArchiveError::Damaged { file: format!("the version of {board}"), problem: problem.to_owned() };
    let mut encoder = BoardEncoder::new(*board, track, &Validators::default());
    let mut checksum = EntriesChecksum::default();
    for _ in 0..*size {
        let entry = entries.next().await?.ok_or_else(|| damaged("entries are missing"))?;
        checksum.push(&entry);
        let raw = RawValue::from_string(entry).map_err(|error| damaged(&error.to_string()))?;
        if !encoder.push(&raw) {
            return Err(damaged("larger than a board can be"));
        }
    }
    if checksum.value() != *entries_crc {
        return Err(damaged("its entries are not those that were recorded (hint: r3e-archive verify)"));
    }
    let observed = timestamp(*observed_ms)?;
    let path = cache.board_path(*board);
    fs::publish_folders(fs::parent(&path))?;
    let mut file = NewFile::publish(&path)?;
    let written = std::io::Write::write_all(&mut file, &encoder.finish(&observed.to_string()).bytes);
    written.map_err(|cause| FsError::new("write", &path, cause))?;
    // Nothing was recorded before 1970.
    let since_epoch = Duration::from_millis(u64::try_from(*observed_ms).unwrap_or_default());
    file.set_modified(SystemTime::UNIX_EPOCH + since_epoch)?;
    Ok(file.commit_unsynced()?)
}

/// A column of text.
fn text(column: &datafusion::arrow::array::ArrayRef) -> StringArray {
    column.as_string::<i32>().clone()
}
