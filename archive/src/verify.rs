//! `verify`: reads every file, and checks that each version has the entries it had when it was recorded, and that the columns say
//! what the entries say.

use std::collections::BTreeMap;

use datafusion::arrow::array::{Array as _, AsArray as _, PrimitiveArray, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::datatypes::{TimestampMillisecondType, UInt32Type};
use futures_util::StreamExt as _;
use r3e_common::domain::{Combination, Entry};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::ArchiveError;
use crate::files::LiveFile;
use crate::location::Location;
use crate::record::combination;
use crate::schema::{EntriesChecksum, Rows, SCHEMA, Version};

/// The columns of entries, the entry itself last; what follows belongs to versions.
const ENTRY_COLUMNS: usize = 19;

/// The result of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Files read.
    pub files: usize,
    /// Versions of boards in them.
    pub versions: usize,
    /// Entries in them.
    pub rows: usize,
    /// What is wrong, a line each.
    pub damage: Vec<String>,
}

impl std::fmt::Display for Verified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { files, versions, rows, damage } = self;
        damage.iter().try_for_each(|it| writeln!(f, "{it}"))?;
        let found = if damage.is_empty() {
            "no damage".to_owned()
        } else {
            format!("{} damaged files or versions", damage.len())
        };
        writeln!(f, "{files} files, {versions} versions, {rows} entries: {found}")
    }
}

/// Reads and checks all files that count.
///
/// # Errors
/// If the store fails. Damage is part of the result.
pub async fn verify(location: &Location, stop: &CancellationToken) -> Result<Verified, ArchiveError> {
    let files = location.found_files().await?;
    let mut verified = Verified::default();
    for (first, file) in files.gaps() {
        let problem = format!("recordings {first} to {} are missing", file.first - 1);
        verified.damage.push(format!("{}: {problem}", location.name(&file.path)));
    }
    for file in &files.live {
        verified.files += 1;
        match check(location, file, &mut verified, stop).await {
            Ok(()) => {}
            Err(ArchiveError::Damaged { file, problem }) => verified.damage.push(format!("{file}: {problem}")),
            Err(error) => return Err(error),
        }
    }
    Ok(verified)
}

/// Checks a file.
///
/// # Errors
/// What is wrong with it, or if the store fails.
pub(crate) async fn check(
    location: &Location,
    file: &LiveFile,
    verified: &mut Verified,
    stop: &CancellationToken,
) -> Result<(), ArchiveError> {
    let name = location.name(&file.path);
    let damaged = |problem: String| ArchiveError::Damaged { file: name.clone(), problem };
    let bytes = match location.length(&location.path(&file.path)).await {
        Err(error) if error.is_missing() => return Err(damaged("missing".to_owned())),
        bytes => bytes?,
    };
    if bytes != file.bytes {
        return Err(damaged(format!("{bytes} bytes, expected {}", file.bytes)));
    }
    let of_file = |error: ArchiveError| match error {
        ArchiveError::Damaged { problem, .. } | ArchiveError::Query(problem) => damaged(problem),
        error => error,
    };
    let engine = Engine::over_file(location, file)?;
    let mut batches = engine.stream(engine.plan("SELECT * FROM recordings").await?).await.map_err(of_file)?;
    let mut versions = Versions::default();
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|error| of_file(error.into()))?;
        if stop.is_cancelled() {
            return Err(ArchiveError::Stopped);
        }
        versions.check(&batch).map_err(damaged)?;
    }
    verified.versions += versions.checked;
    verified.rows += versions.entries;
    match versions.open.keys().next() {
        None => Ok(()),
        Some((board, _)) => Err(damaged(format!("{board} has entries of a version that has no row of its own"))),
    }
}

/// The versions of a file.
#[derive(Default)]
struct Versions {
    /// Those whose own row is still to come: how many entries there were, their checksum, and the first one.
    open: BTreeMap<(Combination, i64), (u32, EntriesChecksum, String)>,
    checked: usize,
    entries: usize,
}

impl Versions {
    /// Checks a batch: entries come first, then versions.
    fn check(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let columns = Columns::of(batch);
        let entries = columns.positions.values().iter().take_while(|it| **it > 0).count();
        let mut rebuilt = Rows::default();
        for row in 0..entries {
            let (board, observed_ms) = columns.key(row)?;
            let (count, checksum, first) = self.open.entry((board, observed_ms)).or_default();
            *count += 1;
            let (text, position) = (columns.entries.value(row), columns.positions.value(row));
            if position != *count {
                return Err(format!("{board} has position {position}, expected {count}"));
            }
            checksum.push(text);
            if position == 1 {
                text.clone_into(first);
            }
            let raw: &RawValue = serde_json::from_str(text).map_err(|error| format!("an entry of {board}: {error}"))?;
            let version = Version::entries_of(board, observed_ms, columns.sizes.value(row));
            rebuilt.push_entry(&version, position, text, Entry::read(raw).as_ref());
        }
        let rebuilt = rebuilt.take().map_err(|error| error.to_string())?;
        let differs =
            (0..ENTRY_COLUMNS).find(|it| batch.column(*it).slice(0, entries).as_ref() != rebuilt.column(*it).as_ref());
        if let Some(column) = differs {
            return Err(format!("column {} differs from what the entries say", SCHEMA.field(column).name()));
        }
        self.entries += entries;
        (entries..batch.num_rows()).try_for_each(|row| self.close(batch, &columns, row))
    }

    /// Checks the row of a version against its entries.
    fn close(&mut self, batch: &RecordBatch, columns: &Columns<'_>, row: usize) -> Result<(), String> {
        let (board, observed_ms) = columns.key(row)?;
        if columns.positions.value(row) != 0 {
            return Err(format!("{board} has entries behind versions"));
        }
        let (count, checksum, first) = self.open.remove(&(board, observed_ms)).unwrap_or_default();
        let (size, crc) = (columns.sizes.value(row), columns.checksums.value(row));
        if (count, checksum.value()) != (size, crc) {
            return Err(format!(
                "a version of {board} has {count} entries or their checksum is wrong, expected {size} entries"
            ));
        }
        // An empty board has no first entry; others were read above.
        let raw: Option<&RawValue> = serde_json::from_str(&first).ok();
        let mut rebuilt = Rows::default();
        rebuilt.push_version(&Version::entries_of(board, observed_ms, size), raw.and_then(Entry::read).as_ref());
        let rebuilt = rebuilt.take().map_err(|error| error.to_string())?;
        // All but the entry, which versions have not.
        let differs = |column: &usize| batch.column(*column).slice(row, 1).as_ref() != rebuilt.column(*column).as_ref();
        if let Some(column) = (0..ENTRY_COLUMNS - 1).find(differs) {
            return Err(format!(
                "column {} of a version of {board} differs from its first entry",
                SCHEMA.field(column).name()
            ));
        }
        self.checked += 1;
        Ok(())
    }
}

/// The columns that are checked.
struct Columns<'a> {
    observed: &'a PrimitiveArray<TimestampMillisecondType>,
    tracks: &'a UInt32Array,
    classes: &'a UInt32Array,
    positions: &'a UInt32Array,
    sizes: &'a UInt32Array,
    entries: &'a StringArray,
    checksums: &'a UInt32Array,
}

impl<'a> Columns<'a> {
    /// Of a batch with our schema.
    fn of(batch: &'a RecordBatch) -> Self {
        let number = |column: usize| batch.column(column).as_primitive::<UInt32Type>();
        Self {
            observed: batch.column(0).as_primitive(),
            tracks: number(1),
            classes: number(2),
            positions: number(3),
            sizes: number(4),
            entries: batch.column(ENTRY_COLUMNS - 1).as_string(),
            checksums: number(SCHEMA.fields().len() - 1),
        }
    }

    fn key(&self, row: usize) -> Result<(Combination, i64), String> {
        let (track, class) = (self.tracks.value(row), self.classes.value(row));
        let board = combination(track, class).ok_or_else(|| format!("a row of the board {track}-{class}"))?;
        Ok((board, self.observed.value(row)))
    }
}
