//! The thread that writes the history. It may wait for a disk; nothing waits for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use r3e_common::runtime::exit::Failure;
use r3e_common::runtime::fs::{self, Inode};
use r3e_common::runtime::logging::RecurringError;

use super::leak_warnings::LeakWarnings;
use crate::history::{Batch, Found, HistoryError, RecordError, Run, Writer, milliseconds, set_aside, unread_records};

/// Upper bound of the batches that wait for a slow disk.
const MAX_WAITING: usize = 16;

/// How often lost samples are logged at most.
const LOG_LOST_EVERY: Duration = Duration::from_mins(1);

/// How often old samples are dropped, and in how many transactions at most.
const DROP_EVERY: Duration = Duration::from_mins(1);
const MAX_DROP_STEPS: usize = 100;

/// How often a damaged history may be moved aside: a disk that damages each of them must not fill up with them.
const SET_ASIDE_EVERY: Duration = Duration::from_hours(1);

/// A handle to the thread.
#[derive(Debug)]
pub(super) struct Recorder {
    batches: SyncSender<Batch>,
    lost: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Recorder {
    /// Opens the history and starts the thread.
    ///
    /// # Errors
    /// When the history belongs to a later version or another program. A failing disk is retried.
    pub(super) fn start(
        history: PathBuf,
        runtime_dir: PathBuf,
        keep: Duration,
        clock: fn() -> SystemTime,
    ) -> Result<Self, Failure> {
        let lost = Arc::new(AtomicU64::new(0));
        let mut worker = Worker {
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
            importing: RecurringError::new("cannot read run records", "run records can be read again"),
            leaks: LeakWarnings::default(),
            lost: Arc::clone(&lost),
            lost_logged_at: None,
        };
        if let Err(error) = worker.database().map(|_| ()) {
            if !error.is_transient() {
                return Err(error.into());
            }
            if !worker.set_aside(&error) {
                worker.writing.failed(&error);
            }
        }
        let (batches, received) = sync_channel(MAX_WAITING);
        let thread = std::thread::Builder::new().name("history".into()).spawn(move || worker.run(&received))?;
        Ok(Self { batches, lost, thread })
    }

    /// Records a batch. If too many wait for the disk, it is dropped and counted.
    pub(super) fn record(&self, batch: Batch) {
        match self.batches.try_send(batch) {
            Ok(()) => {}
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => {
                self.lost.fetch_add(batch.samples.len() as u64, Ordering::Relaxed);
            }
        }
    }

    /// Writes what is waiting, and closes the history.
    pub(super) fn stop(self) {
        drop(self.batches);
        if self.thread.join().is_err() {
            tracing::error!("the thread that writes the history panicked");
        }
    }
}

/// The state of the thread.
struct Worker {
    history: PathBuf,
    runtime_dir: PathBuf,
    keep: Duration,
    clock: fn() -> SystemTime,
    /// `None` after a failure.
    database: Option<Writer>,
    /// The file that was open last.
    file: Option<Inode>,
    /// Whether that file was moved or replaced, and none was opened since.
    moved: bool,
    set_aside_at: Option<Instant>,
    dropped_at: Option<Instant>,
    writing: RecurringError,
    importing: RecurringError,
    leaks: LeakWarnings,
    lost: Arc<AtomicU64>,
    lost_logged_at: Option<Instant>,
}

impl Worker {
    fn run(mut self, batches: &Receiver<Batch>) {
        while let Ok(first) = batches.recv() {
            // Everything that waits is written at once: the sync takes longer than all the rest.
            let all: Vec<Batch> = std::iter::once(first).chain(batches.try_iter().take(MAX_WAITING)).collect();
            self.write(&all);
        }
        // Imports the records of jobs that have just ended.
        self.write(&[]);
        self.lost_logged_at = None;
        self.log_lost();
    }

    /// Writes batches and does what else is due. Errors are logged.
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
                self.log_lost();
            }
            Err(error) => {
                let samples: usize = batches.iter().map(|batch| batch.samples.len()).sum();
                self.lost.fetch_add(samples as u64, Ordering::Relaxed);
                self.writing.failed(&error);
                // Reopened the next time: it may be another file by then.
                self.database = None;
            }
        }
    }

    fn try_write(&mut self, batches: &[Batch]) -> Result<(), HistoryError> {
        self.database()?.add(batches)?;
        self.import()?;
        let gone = match batches.iter().rfind(|batch| batch.silent.is_some()) {
            Some(latest) => self.database()?.conclude(latest)?,
            None => Vec::new(),
        };
        for Run { program, pid, peak_rss_bytes, .. } in gone {
            tracing::warn!(program, pid, peak_rss_bytes, "a process ended without a run record: recorded as killed");
        }
        let mut leaks = std::mem::take(&mut self.leaks);
        let judged = batches.iter().try_for_each(|batch| leaks.judge(batch, self.database()?));
        self.leaks = leaks;
        judged?;
        self.drop_old()
    }

    fn log_lost(&mut self) {
        if is_recent(self.lost_logged_at, LOG_LOST_EVERY) {
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.lost_logged_at = Some(Instant::now());
            tracing::warn!(lost, "samples were lost: the disk is full or too slow");
        }
    }

    /// The open database. Reopens it if another file is at its path by now.
    fn database(&mut self) -> Result<&mut Writer, HistoryError> {
        let open = match self.database.take() {
            Some(open) if open.is_in_place()? => open,
            None => self.open()?,
            Some(moved) => {
                self.moved = true;
                if let Err(error) = moved.close_moved() {
                    tracing::warn!(%error, "the history that was moved may lack its last samples");
                }
                self.open()?
            }
        };
        Ok(self.database.insert(open))
    }

    /// Opens the history. If it is another file than before, logs that and forgets all judgements, as another file numbers
    /// processes differently.
    fn open(&mut self) -> Result<Writer, HistoryError> {
        let opened = Writer::open(&self.history)?;
        let before = std::mem::replace(&mut self.file, opened.file());
        // A new file may have the inode number of a deleted one.
        let moved = std::mem::take(&mut self.moved);
        if moved || before != opened.file() {
            self.leaks = LeakWarnings::default();
            if before.is_some() {
                tracing::warn!(history = %self.history.display(), "the history was moved or replaced: reopened");
            }
        }
        Ok(opened)
    }

    /// Moves a damaged history aside. Returns whether a new one can be started.
    fn set_aside(&mut self, error: &HistoryError) -> bool {
        if !error.is_damage() || is_recent(self.set_aside_at, SET_ASIDE_EVERY) {
            return false;
        }
        self.database = None;
        match set_aside(&self.history) {
            Ok(Some(aside)) => {
                self.file = None;
                self.set_aside_at = Some(Instant::now());
                tracing::error!(%error, moved_to = %aside.display(), "the history is damaged: moved aside, starting a new one");
                true
            }
            // It is another program's file.
            Ok(None) => false,
            Err(refused) => {
                self.writing.failed(&refused);
                false
            }
        }
    }

    /// Imports the records of finished jobs, and then deletes them. After a kill between the two, the record is found again and
    /// the run is known already.
    fn import(&mut self) -> Result<(), HistoryError> {
        let found = match unread_records(&self.runtime_dir) {
            Ok(found) => found,
            Err(error) => {
                self.importing.failed(&error);
                return Ok(());
            }
        };
        let runs: Vec<&Run> = found.iter().filter_map(|it| it.run.as_ref().ok()).collect();
        if !runs.is_empty() {
            self.database()?.import(&runs)?;
        }
        let mut failed = false;
        for Found { path, run } in found {
            let done = match run {
                Ok(_) => fs::remove(&path),
                Err(RecordError::Unreadable(error)) => Err(error),
                Err(invalid @ RecordError::Invalid { .. }) => {
                    tracing::warn!("{invalid}: moved aside");
                    fs::rename(&path, &path.with_extension("damaged"))
                }
            };
            if let Err(error) = done {
                failed = true;
                self.importing.failed(&error);
            }
        }
        if !failed {
            self.importing.succeeded();
        }
        Ok(())
    }

    fn drop_old(&mut self) -> Result<(), HistoryError> {
        if is_recent(self.dropped_at, DROP_EVERY) {
            return Ok(());
        }
        self.dropped_at = Some(Instant::now());
        let (clock_ms, keep) = (milliseconds((self.clock)()), self.keep);
        self.database()?.drop_old(clock_ms, keep, MAX_DROP_STEPS)
    }
}

fn is_recent(last: Option<Instant>, period: Duration) -> bool {
    last.is_some_and(|at| at.elapsed() < period)
}
