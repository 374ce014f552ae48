//! Which boards have changed, and their rows.

use std::collections::{BTreeSet, HashMap};

use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use r3e_common::domain::{Catalog, Combination, Entry};
use r3e_common::store::{Buffers, Cache, Entries, ReadError, Within};
use serde_json::value::RawValue;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

use super::Known;
use crate::error::ArchiveError;
use crate::schema::{EntriesChecksum, Rows, Version};

/// Rows of a batch, and bytes of their entries, whichever comes first.
const BATCH_ROWS: usize = 2048;
const BATCH_BYTES: usize = 2 << 20;

/// What a recording has to append.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Boards whose files differ from those of their last versions, and these, ordered by track and class.
    pub(crate) boards: Vec<(Combination, Option<Known>)>,
}

/// What was read of the boards.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// The rows of the versions.
    pub(crate) versions: Rows,
    pub(crate) boards: usize,
    pub(crate) gone: usize,
    pub(crate) damaged: usize,
    pub(crate) rows: usize,
}

impl Changes {
    /// Compares the trailer of each published file with the one that was recorded last.
    pub(crate) fn find(
        cache: &Cache,
        catalog: &Catalog,
        known: &HashMap<Combination, Known>,
    ) -> Result<Self, ArchiveError> {
        let boards: BTreeSet<Combination> = catalog.combinations().chain(known.keys().copied()).collect();
        let (mut changes, mut has_boards) = (Self::default(), false);
        for board in boards {
            let (trailer, known) = (cache.trailer(board)?, known.get(&board));
            has_boards |= trailer.is_some();
            let differs = match (trailer, known) {
                (Some(trailer), Some(known)) => known.gone || known.file_id != u64::from_le_bytes(trailer),
                (None, Some(known)) => !known.gone,
                (found, None) => found.is_some(),
            };
            if differs {
                changes.boards.push((board, known.copied()));
            }
        }
        let standing = known.values().filter(|it| !it.gone).count();
        if standing > 0 && !has_boards {
            let folder = cache.folder().display();
            let problem =
                format!("cache.dir: {folder} has no boards, but the archive has {standing} (hint: is it mounted?)");
            return Err(ArchiveError::NoCache(problem));
        }
        Ok(changes)
    }

    /// Reads the boards and sends the rows of their entries.
    pub(crate) fn read(
        self,
        cache: &Cache,
        observed_ms: i64,
        stop: &CancellationToken,
        batches: &Sender<RecordBatch>,
    ) -> Result<Read, ArchiveError> {
        let (mut read, mut rows, mut buffers) = (Read::default(), Rows::default(), Buffers::default());
        for (board, known) in self.boards {
            if stop.is_cancelled() {
                return Err(ArchiveError::Stopped);
            }
            let mut entries = Collected(Vec::new());
            let (track, file_id) = match cache.read_within(board, &mut buffers, usize::MAX, &mut entries) {
                Ok(Within::Board { head, trailer, .. }) => (head.name, Some(u64::from_le_bytes(trailer))),
                // It may have vanished only now.
                Ok(Within::Nothing) if known.is_some() => ("".into(), None),
                Ok(Within::Nothing) => continue,
                Ok(Within::TooLarge) => unreachable!("nothing is larger than usize::MAX"),
                Err(ReadError::Damaged { path, damage, .. }) => {
                    tracing::warn!(file = %path.display(), %damage, "a damaged board is not recorded");
                    read.damaged += 1;
                    continue;
                }
                Err(ReadError::Store(error)) => return Err(error.into()),
            };
            let Collected(entries) = entries;
            let mut checksum = EntriesChecksum::default();
            for entry in &entries {
                checksum.push(entry.get());
            }
            let version = Version {
                observed_ms,
                board,
                size: u32::try_from(entries.len()).unwrap_or(u32::MAX),
                track: &track,
                gone: file_id.is_none(),
                file_id: file_id.unwrap_or_default(),
                entries_crc: checksum.value(),
            };
            // A file that was fetched again, or restored, may have the same entries.
            if known.is_some_and(|it| !it.gone && !version.gone && it.entries() == (version.size, version.entries_crc))
            {
                continue;
            }
            read.versions.push_version(&version, entries.first().and_then(|it| Entry::read(it)).as_ref());
            read.boards += 1;
            read.gone += usize::from(version.gone);
            read.rows += entries.len();
            for (position, raw) in (1..).zip(&entries) {
                rows.push_entry(&version, position, raw.get(), Entry::read(raw).as_ref());
                if rows.len() >= BATCH_ROWS || rows.entry_bytes() >= BATCH_BYTES {
                    send(&mut rows, batches)?;
                }
            }
        }
        send(&mut rows, batches)?;
        Ok(read)
    }
}

/// Sends the rows, if there are any.
fn send(rows: &mut Rows, batches: &Sender<RecordBatch>) -> Result<(), ArchiveError> {
    if rows.is_empty() {
        return Ok(());
    }
    let batch = rows.take().map_err(DataFusionError::from)?;
    // The receiver gives up only after an error of its own, which counts.
    batches.blocking_send(batch).map_err(|_| ArchiveError::Stopped)
}

struct Collected<'a>(Vec<&'a RawValue>);

impl<'a> Entries<'a> for Collected<'a> {
    type Entry = &'a RawValue;

    fn restart(&mut self) {
        self.0.clear();
    }

    fn entry(&mut self, entry: &'a RawValue) {
        self.0.push(entry);
    }
}
