//! The thread that writes the history. It may wait for a disk; nobody waits for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use r3e_common::runtime::exit::Failure;
use r3e_common::runtime::fs::{self, Inode};
use r3e_common::runtime::logging::RecurringError;

use super::judging::Judging;
use crate::history::{Batch, HistoryError, Run, Unusable, Writer, milliseconds, not_taken_in, set_aside};

/// So many batches may wait for a slow disk.
const WAITING: usize = 16;

/// How often it is told that samples are missing, where that goes on.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// How often old samples are dropped, and in how many pieces at most.
const DROP_EVERY: Duration = Duration::from_mins(1);
const PIECES: usize = 100;

/// How often a damaged history may be moved aside: a disk that damages each of them is not to be filled with them.
const SET_ASIDE_EVERY: Duration = Duration::from_hours(1);

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Keeper {
    batches: SyncSender<Batch>,
    lost: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Opens the history and begins to write it.
    ///
    /// # Errors
    /// When it is one of a later version, or of another program. A disk that fails is waited for.
    pub(super) fn start(
        history: PathBuf,
        runtime_dir: PathBuf,
        keep: Duration,
        clock: fn() -> SystemTime,
    ) -> Result<Self, Failure> {
        let lost = Arc::new(AtomicU64::new(0));
        let mut work = Work {
            history,
            runtime_dir,
            keep,
            clock,
            database: None,
            file: None,
            moved: false,
            set_aside_at: None,
            dropped_at: None,
            writing: RecurringError::new("cannot write the history", "the history is written again"),
            taking_in: RecurringError::new("cannot read run records", "run records can be read again"),
            judging: Judging::default(),
            lost: Arc::clone(&lost),
            told_at: None,
        };
        match work.database() {
            Ok(_) => {}
            Err(error) if error.may_pass() => {
                if !work.set_aside(&error) {
                    work.writing.failed(&error);
                }
            }
            Err(error) => return Err(error.into()),
        }
        let (batches, received) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("history".into()).spawn(move || work.until_closed(&received))?;
        Ok(Self { batches, lost, thread })
    }

    /// Has a batch written. Where the disk is so slow that many wait, it is lost, and counted.
    pub(super) fn keep(&self, batch: Batch) {
        match self.batches.try_send(batch) {
            Ok(()) => {}
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => {
                self.lost.fetch_add(batch.samples.len() as u64, Ordering::Relaxed);
            }
        }
    }

    /// Writes what still waits, and closes the history.
    pub(super) fn stop(self) {
        drop(self.batches);
        if self.thread.join().is_err() {
            tracing::error!("the thread that writes the history panicked");
        }
    }
}

/// What the thread has.
struct Work {
    history: PathBuf,
    runtime_dir: PathBuf,
    keep: Duration,
    clock: fn() -> SystemTime,
    /// Open, unless it could not be opened or written.
    database: Option<Writer>,
    /// Which file was open last.
    file: Option<Inode>,
    /// Whether that one was moved or replaced, and nothing was opened since.
    moved: bool,
    set_aside_at: Option<Instant>,
    dropped_at: Option<Instant>,
    writing: RecurringError,
    taking_in: RecurringError,
    judging: Judging,
    lost: Arc<AtomicU64>,
    told_at: Option<Instant>,
}

impl Work {
    fn until_closed(mut self, batches: &Receiver<Batch>) {
        while let Ok(first) = batches.recv() {
            // What had to wait is written at once: syncing takes longer than all the rest.
            let all: Vec<Batch> = std::iter::once(first).chain(batches.try_iter().take(WAITING)).collect();
            self.write(&all);
        }
        // A job that ended in the last moments is in the history too.
        self.write(&[]);
        self.told_at = None;
        self.tell_lost();
    }

    /// Writes batches, with all that is due beside them. Never fails: what goes wrong is told, once.
    fn write(&mut self, batches: &[Batch]) {
        let mut result = self.try_write(batches);
        if let Err(error) = &result
            && self.set_aside(error)
        {
            result = self.try_write(batches);
        }
        match result {
            Ok(()) => {
                self.writing.succeeded();
                self.tell_lost();
            }
            Err(error) => {
                let samples: usize = batches.iter().map(|batch| batch.samples.len()).sum();
                self.lost.fetch_add(samples as u64, Ordering::Relaxed);
                self.writing.failed(&error);
                // Opened anew the next time: it may be another file by then.
                self.database = None;
            }
        }
    }

    fn try_write(&mut self, batches: &[Batch]) -> Result<(), HistoryError> {
        self.database()?.add(batches)?;
        self.take_in()?;
        let gone = match batches.iter().rfind(|batch| batch.silent.is_some()) {
            Some(latest) => self.database()?.conclude(latest)?,
            None => Vec::new(),
        };
        for Run { program, pid, peak_rss_bytes, .. } in gone {
            tracing::warn!(program, pid, peak_rss_bytes, "a process is gone without a word: noted as killed");
        }
        let mut judging = std::mem::take(&mut self.judging);
        let judged = batches.iter().try_for_each(|batch| judging.after(batch, self.database()?));
        self.judging = judging;
        judged?;
        self.drop_old()
    }

    /// Tells how many samples are not in the history, if any, and not more often than is useful.
    fn tell_lost(&mut self) {
        if self.told_at.is_some_and(|it| it.elapsed() < TELL_EVERY) {
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.told_at = Some(Instant::now());
            tracing::warn!(lost, "the disk did not take all samples: these are missing in the history");
        }
    }

    /// The database, opened if it is not, or if another file stands at its path by now.
    fn database(&mut self) -> Result<&mut Writer, HistoryError> {
        let open = match self.database.take() {
            Some(open) if open.is_in_place()? => open,
            None => self.open()?,
            Some(moved) => {
                self.moved = true;
                if let Err(error) = moved.leave() {
                    tracing::warn!(%error, "the history that was moved may lack its last samples");
                }
                self.open()?
            }
        };
        Ok(self.database.insert(open))
    }

    /// Opens the history. If it is another file than before, logs that, and forgets what was judged: in another file a process
    /// has another number.
    fn open(&mut self) -> Result<Writer, HistoryError> {
        let opened = Writer::open(&self.history)?;
        let before = std::mem::replace(&mut self.file, opened.file());
        // A new file may have the number of one that was deleted.
        let moved = std::mem::take(&mut self.moved);
        if moved || before != opened.file() {
            self.judging = Judging::default();
            if before.is_some() {
                tracing::warn!(history = %self.history.display(), "the history was moved or replaced: reopened");
            }
        }
        Ok(opened)
    }

    /// Moves a history aside that is damaged; says whether a new one can be begun.
    fn set_aside(&mut self, error: &HistoryError) -> bool {
        if !error.is_damage() || self.set_aside_at.is_some_and(|at| at.elapsed() < SET_ASIDE_EVERY) {
            return false;
        }
        self.database = None;
        match set_aside(&self.history) {
            Ok(Some(aside)) => {
                self.file = None;
                self.set_aside_at = Some(Instant::now());
                tracing::error!(%error, moved_to = %aside.display(), "the history is damaged: moved aside, beginning a new one");
                true
            }
            // It is none of ours.
            Ok(None) => false,
            Err(refused) => {
                self.writing.failed(&refused);
                false
            }
        }
    }

    /// Takes in what finished jobs have left, and then deletes it: killed between the two, it finds the record again, and
    /// the run in the history already.
    fn take_in(&mut self) -> Result<(), HistoryError> {
        let found = match not_taken_in(&self.runtime_dir) {
            Ok(found) => found,
            Err(error) => {
                self.taking_in.failed(&error);
                return Ok(());
            }
        };
        let runs: Vec<&Run> = found.iter().filter_map(|it| it.run.as_ref().ok()).collect();
        if !runs.is_empty() {
            self.database()?.take_in(&runs)?;
        }
        let mut failed = false;
        for it in &found {
            let result = match &it.run {
                Ok(_) => fs::remove(&it.path).map_err(Unusable::Unreadable),
                Err(Unusable::Unreadable(_)) => Ok(()),
                Err(damaged @ Unusable::Damaged { .. }) => {
                    tracing::warn!("{damaged}: moved aside");
                    fs::rename(&it.path, &it.path.with_extension("damaged")).map_err(Unusable::Unreadable)
                }
            };
            for error in [result.as_ref().err(), it.run.as_ref().err()].into_iter().flatten() {
                if let Unusable::Unreadable(error) = error {
                    failed = true;
                    self.taking_in.failed(error);
                }
            }
        }
        if !failed {
            self.taking_in.succeeded();
        }
        Ok(())
    }

    fn drop_old(&mut self) -> Result<(), HistoryError> {
        if self.dropped_at.is_some_and(|it| it.elapsed() < DROP_EVERY) {
            return Ok(());
        }
        self.dropped_at = Some(Instant::now());
        let (clock_ms, keep) = (milliseconds((self.clock)()), self.keep);
        self.database()?.drop_old(clock_ms, keep, PIECES)
    }
}
