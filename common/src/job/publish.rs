//! Publishing: staged boards into the cache, the cache into the index, the figures into `status.json`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use crate::domain::{Catalog, Combination};
use crate::index::{self, BoardState, Built, Exported, Headroom, IndexError, Source};
use crate::runtime::config::IndexFormat;
use crate::runtime::fs::FsError;
use crate::runtime::timestamp;
use crate::store::{Damage, Promoted, Staging, Status, StatusFile, link_tracks};

/// How often an export begins, where another program replaces boards while it is made.
const ATTEMPTS: u32 = 3;

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The file system refused.
    #[error(transparent)]
    Store(#[from] FsError),
    /// There is no index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Not one board can be read, and this is why, of one: an index of none does not replace the one that is there.
    #[error("no board can be read: {0}")]
    NoBoards(String),
}

/// What was published.
#[derive(Debug, Clone)]
pub struct Published {
    /// Boards in the cache.
    pub boards: usize,
    /// Those with entries.
    pub boards_with_entries: usize,
    /// Distinct drivers.
    pub drivers: usize,
    /// Entries in the index.
    pub entries: usize,
    /// Entries without a driver name, in no index.
    pub nameless: usize,
    /// What the export wrote.
    pub exported: Exported,
    /// All that `status.json` is told of it.
    pub status: Status,
}

/// Publishes one cache.
#[derive(Debug)]
pub struct Publisher {
    /// The gate into the cache.
    pub staging: Arc<Staging>,
    /// Which boards there are.
    pub catalog: Arc<Catalog>,
    /// Where the figures go.
    pub status: StatusFile,
    /// Whether the index is written uncompressed too.
    pub plain: bool,
    /// For which front ends files are published.
    pub formats: Vec<IndexFormat>,
    /// Threads that read, format and compress.
    pub threads: usize,
    /// How much memory an index may take.
    pub headroom: HeadroomNow,
    /// Gives what was freed back to the kernel.
    pub give_back: fn(),
    /// The time of day.
    pub clock: fn() -> SystemTime,
    /// What was published by now. Held while publishing, for exports write to the same hidden names.
    pub totals: Mutex<Totals>,
}

/// Tells, each time it is asked, how many bytes of memory an index may take now; none for as many as it likes.
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
    /// What went into the cache, and what did not.
    pub promoted: Promoted,
    /// Damaged board files that were moved aside.
    pub damaged: Vec<Combination>,
    /// What was published last.
    pub last: Option<Published>,
}

impl Publisher {
    /// Promotes what is staged, then reads the whole cache and exports it: the index describes what is in the cache.
    /// Damaged board files are moved aside. Tells what the cache holds of each combination, in catalogue order.
    ///
    /// # Errors
    /// When the file system refuses or `stop` is cancelled; what was published before is still there, whole.
    pub fn publish(&self, stop: &CancellationToken) -> Result<Vec<BoardState>, PublishError> {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let kept_before = totals.promoted.kept.len();
        self.staging.promote(stop, &mut totals.promoted)?;
        for board in &totals.promoted.kept[kept_before..] {
            tracing::warn!(%board, "the service has no entries for a board that had some: it is kept");
        }
        let begun = Instant::now();
        let cache = self.staging.cache();
        let headroom = Headroom { bytes: (self.headroom.0)(), give_back: self.give_back };
        let source = Source {
            cache,
            catalog: &self.catalog,
            threads: self.threads,
            headroom,
            formats: &self.formats,
            now: (self.clock)(),
            stop,
        };
        let (built, exported) = self.export(&source)?;
        self.set_aside(&built, &mut totals)?;
        let refused = self.staging.refused();
        if let Some((first, error)) = refused.first_key_value() {
            tracing::warn!(boards = refused.len(), %first, error, "boards cannot be moved to where they belong");
        }
        let exported = exported?;
        let took_ms = begun.elapsed().as_secs_f64() * 1000.0;
        let status = self.figures(&built, &exported, took_ms);
        self.tell(&status);
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

    /// Exports the index of the cache as it is. Under a limit the cache is read several times and has to stay the same: boards that go
    /// to their final paths wait, and if another program replaces one, the export starts again.
    fn export(&self, source: &Source<'_>) -> Result<(Built, Result<Exported, IndexError>), PublishError> {
        let _unchanged = source.headroom.bytes.map(|_| self.staging.hold_final_paths());
        let mut attempts = ATTEMPTS;
        loop {
            attempts -= 1;
            match self.export_once(source) {
                Err(PublishError::Index(IndexError::Changed(path))) | Ok((_, Err(IndexError::Changed(path))))
                    if attempts > 0 =>
                {
                    tracing::warn!(path = %path.display(), "a board changed while the index was made: starting again");
                }
                result => return result,
            }
        }
    }

    /// The result of reading, and that of writing: damaged boards are moved aside even if writing fails.
    fn export_once(&self, source: &Source<'_>) -> Result<(Built, Result<Exported, IndexError>), PublishError> {
        let (built, ranges) = index::build(source)?;
        let unreadable = |it: &index::Damaged| matches!(it.damage, Damage::Unreadable(_));
        if let [first, ..] = &built.damaged[..]
            && built.boards() == 0
            && built.damaged.iter().all(unreadable)
        {
            return Err(PublishError::NoBoards(format!("{}: {}", first.path.display(), first.damage)));
        }
        let folder = source.cache.folder();
        if self.formats.contains(&IndexFormat::April2026) {
            link_tracks(folder, built.tracks(source.catalog).map(|it| it.id))?;
        }
        let exported = index::export(ranges, folder, self.plain);
        Ok((built, exported))
    }

    /// Moves damaged boards aside.
    fn set_aside(&self, built: &Built, totals: &mut Totals) -> Result<(), FsError> {
        for index::Damaged { board, path, damage, file } in &built.damaged {
            // Whoever fetches may have put another in its place since it was read.
            if let Some(aside) = self.staging.set_aside_file(*board, *file)? {
                tracing::warn!(%board, path = %path.display(), %damage, aside = %aside.display(), "damaged: moved aside");
                totals.damaged.push(*board);
            }
        }
        Ok(())
    }

    /// Tells `status.json` something that the job's last word tells again, or that is of the moment: where it cannot be
    /// written, work goes on.
    pub fn tell(&self, news: &Status) {
        if let Err(error) = self.status.update(news) {
            tracing::warn!(%error, "status.json is not up to date");
        }
    }

    /// What was published by now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn figures(&self, built: &Built, exported: &Exported, took_ms: f64) -> Status {
        Status {
            track_count: Some(built.boards_with_entries()),
            total_fetched_combinations: Some(built.boards()),
            total_unique_tracks: Some(built.tracks(&self.catalog).count()),
            // Today's front ends show a driver's place among as many.
            total_drivers: Some(exported.ids.unwrap_or(exported.drivers)),
            total_teams: exported.teams,
            total_entries: Some(built.entries()),
            generation: Some(exported.generation.to_string()),
            last_index_update: Some(timestamp((self.clock)())),
            index_build_time_ms: Some(took_ms),
            ..Status::default()
        }
    }
}
