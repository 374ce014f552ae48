//! Publishing: promotes staged boards to the cache, exports the index of the cache, and updates `status.json`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use crate::domain::{Catalog, Combination, Ratings};
use crate::index::{self, BoardState, Built, Exported, Fingerprint, Headroom, IndexError, Source};
use crate::runtime::config::IndexFormat;
use crate::runtime::fs::FsError;
use crate::runtime::timestamp;
use crate::store::{Damage, Promoted, Staging, Status, StatusFile, link_tracks};

/// How many times an export is attempted if another program replaces boards meanwhile.
const MAX_ATTEMPTS: u32 = 3;

/// Why publishing failed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The file system failed.
    #[error(transparent)]
    Store(#[from] FsError),
    /// The index cannot be made.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// No board can be read, with the error of one. An empty index does not replace the previous one.
    #[error("no board can be read: {0}")]
    NoBoards(String),
}

/// The result of publishing.
#[derive(Debug, Clone)]
pub struct Published {
    /// Boards in the cache.
    pub boards: usize,
    /// Boards with entries.
    pub boards_with_entries: usize,
    /// Distinct drivers.
    pub drivers: usize,
    /// Entries in the index.
    pub entries: usize,
    /// Entries without a driver's name, which are not in the index.
    pub nameless: usize,
    /// What the export wrote.
    pub exported: Exported,
    /// What was written to `status.json`.
    pub status: Status,
}

/// Publishes one cache.
#[derive(Debug)]
pub struct Publisher {
    /// The staging folder.
    pub staging: Arc<Staging>,
    /// All boards.
    pub catalog: Arc<Catalog>,
    /// The status file.
    pub status: StatusFile,
    /// Whether to write the index uncompressed too.
    pub plain: bool,
    /// The front ends to publish files for.
    pub formats: Vec<IndexFormat>,
    /// The number of threads that read, format and compress.
    pub threads: usize,
    /// How much memory the index may take.
    pub headroom: HeadroomNow,
    /// Returns freed memory to the kernel.
    pub purge: fn(),
    /// The time of day.
    pub clock: fn() -> SystemTime,
    /// What was published so far. Locked while publishing, since exports share temporary files.
    pub totals: Mutex<Totals>,
}

/// Returns how many bytes of memory the index may take now; `None` means no limit.
#[derive(Clone)]
pub struct HeadroomNow(pub Arc<dyn Fn() -> Option<u64> + Send + Sync>);

impl std::fmt::Debug for HeadroomNow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeadroomNow")
    }
}

/// What a job has published.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// The result of all promotions.
    pub promoted: Promoted,
    /// Damaged boards that were moved aside.
    pub damaged: Vec<Combination>,
    /// The last publication.
    pub last: Option<Published>,
}

impl Publisher {
    /// Promotes staged boards, then exports the index of the whole cache, and moves damaged boards aside. Returns the state of
    /// each board, in catalogue order. Without `ratings`, the published ones stay.
    ///
    /// # Errors
    /// If the file system fails, or `stop` is cancelled. The files published before remain complete.
    pub fn publish(
        &self,
        ratings: Option<&Ratings>,
        stop: &CancellationToken,
    ) -> Result<Vec<BoardState>, PublishError> {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let kept_before = totals.promoted.kept.len();
        self.staging.promote(stop, &mut totals.promoted)?;
        for board in &totals.promoted.kept[kept_before..] {
            tracing::warn!(%board, "the service has no entries for a board that had some; it is kept");
        }
        let begun = Instant::now();
        let cache = self.staging.cache();
        let headroom = Headroom { bytes: (self.headroom.0)(), purge: self.purge };
        let source = Source {
            cache,
            catalog: &self.catalog,
            threads: self.threads,
            headroom,
            formats: &self.formats,
            ratings,
            now: (self.clock)(),
            stop,
        };
        let (fingerprint, unchanged) = match Fingerprint::of(&source, self.plain) {
            Ok((fingerprint, unchanged)) => (Some(fingerprint), unchanged.filter(|_| self.status.path().exists())),
            Err(error) => {
                // Reading the boards, which follows, tells what that means for each of them.
                tracing::debug!(%error, "cannot tell whether anything has changed");
                (None, None)
            }
        };
        let is_unchanged = unchanged.is_some();
        let (built, exported) = match unchanged {
            Some((built, exported)) => {
                self.link_boards(&built)?;
                (built, Ok(exported))
            }
            None => self.export(&source)?,
        };
        self.set_aside(&built, &mut totals)?;
        let refused = self.staging.refused();
        if let Some((first, error)) = refused.first_key_value() {
            tracing::warn!(boards = refused.len(), %first, error, "cannot move some boards to their final paths");
        }
        let exported = exported?;
        let took_ms = begun.elapsed().as_secs_f64() * 1000.0;
        let mut status = self.figures(&built, &exported);
        if !is_unchanged {
            status.last_index_update = Some(timestamp((self.clock)()));
            status.index_build_time_ms = Some(took_ms);
            if let Err(error) = self.status.update(&status) {
                tracing::warn!(%error, "cannot update status.json");
            } else if let Some(Err(error)) = fingerprint.map(|it| it.keep(&source, &built, &exported)) {
                tracing::warn!(%error, "cannot record what was published; the next run reads all boards");
            }
        }
        tracing::info!(
            boards = built.boards(),
            drivers = exported.drivers,
            entries = built.entries(),
            changed = exported.changed(),
            written = exported.written,
            files = exported.files,
            took_ms = took_ms.round(),
            "index exported"
        );
        totals.last = Some(Published {
            boards: built.boards(),
            boards_with_entries: built.boards_with_entries(),
            drivers: exported.drivers,
            entries: built.entries(),
            nameless: built.nameless(),
            exported,
            status,
        });
        Ok(built.states)
    }

    /// Exports the index. Under a memory limit, the cache is read several times and must not change: boards that go to their
    /// final paths wait, and the export starts again if another program replaces one.
    fn export(&self, source: &Source<'_>) -> Result<(Built, Result<Exported, IndexError>), PublishError> {
        let _unchanged = source.headroom.bytes.map(|_| self.staging.hold_final_paths());
        let mut attempts = MAX_ATTEMPTS;
        loop {
            attempts -= 1;
            match self.export_once(source) {
                Err(PublishError::Index(IndexError::Changed(path))) | Ok((_, Err(IndexError::Changed(path))))
                    if attempts > 0 =>
                {
                    tracing::warn!(path = %path.display(), "a board changed while the index was made; starting again");
                }
                result => return result,
            }
        }
    }

    /// Returns the results of reading and of writing, since damaged boards are moved aside even if writing fails.
    fn export_once(&self, source: &Source<'_>) -> Result<(Built, Result<Exported, IndexError>), PublishError> {
        let (built, ranges) = index::build(source)?;
        let unreadable = |it: &index::Damaged| matches!(it.damage, Damage::Unreadable(_));
        if let [first, ..] = &built.damaged[..]
            && built.boards() == 0
            && built.damaged.iter().all(unreadable)
        {
            return Err(PublishError::NoBoards(format!("{}: {}", first.path.display(), first.damage)));
        }
        self.link_boards(&built)?;
        let exported = index::export(ranges, source.cache.folder(), self.plain);
        Ok((built, exported))
    }

    /// Creates the links through which newer front ends find boards.
    fn link_boards(&self, built: &Built) -> Result<(), FsError> {
        let is_wanted = self.formats.contains(&IndexFormat::April2026);
        let tracks = built.tracks(&self.catalog).filter(|_| is_wanted);
        link_tracks(self.staging.cache().folder(), tracks.map(|it| it.id))
    }

    /// Moves damaged boards aside.
    fn set_aside(&self, built: &Built, totals: &mut Totals) -> Result<(), FsError> {
        for index::Damaged { board, path, damage, file } in &built.damaged {
            if let Some(aside) = self.staging.set_aside_file(*board, *file)? {
                tracing::warn!(%board, path = %path.display(), %damage, aside = %aside.display(), "a damaged board was moved aside");
                totals.damaged.push(*board);
            }
        }
        Ok(())
    }

    /// Updates `status.json`; a failure is only logged.
    pub fn update_status(&self, changes: &Status) {
        if let Err(error) = self.status.update(changes) {
            tracing::warn!(%error, "cannot update status.json");
        }
    }

    /// What was published so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn figures(&self, built: &Built, exported: &Exported) -> Status {
        Status {
            track_count: Some(built.boards_with_entries()),
            total_fetched_combinations: Some(built.boards()),
            total_unique_tracks: Some(built.tracks(&self.catalog).count()),
            // Newer front ends show a driver's rank out of this number.
            total_drivers: Some(exported.ids.unwrap_or(exported.drivers)),
            total_teams: exported.teams,
            total_entries: Some(built.entries()),
            generation: Some(exported.generation.to_string()),
            ..Status::default()
        }
    }
}
