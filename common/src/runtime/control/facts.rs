//! What only the program itself knows; the allocator, the kernel and the runtime know the rest.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;

use super::stats::{BoardsProgress, ScheduleFigures, Stats, TaskStats};
use crate::runtime::memory::profile::Dump;
use crate::runtime::memory::{self, Figures, MemoryError};
use crate::runtime::pid_namespace::pid_namespace;
use crate::runtime::tasks::{TaskInfo, Tasks};
use crate::runtime::timestamp;

type Ask<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// What a program reports about itself, shared with its control socket. Setting and reading take no longer than the clone
/// of a pointer, so neither waits for the other.
pub struct Facts {
    program: &'static str,
    version: &'static str,
    pid_namespace: Option<u64>,
    started: Instant,
    started_at: SystemTime,
    runtime: Handle,
    limit_bytes: Option<u64>,
    phase: Mutex<&'static str>,
    schedule: Mutex<Option<ScheduleFigures>>,
    progress: Mutex<Option<Ask<BoardsProgress>>>,
    tasks: Mutex<Option<Ask<Vec<TaskInfo>>>>,
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (program, phase) = (self.program, self.phase());
        f.debug_struct("Facts").field("program", &program).field("phase", &phase).finish_non_exhaustive()
    }
}

impl Facts {
    /// The facts of a program that starts now (`started_at`), works on that runtime and has that memory limit.
    #[must_use]
    pub fn new(program: &'static str, started_at: SystemTime, runtime: Handle, limit_bytes: Option<u64>) -> Self {
        Self {
            program,
            version: env!("CARGO_PKG_VERSION"),
            pid_namespace: pid_namespace(),
            started: Instant::now(),
            started_at,
            runtime,
            limit_bytes,
            phase: Mutex::new("starting"),
            schedule: Mutex::new(None),
            progress: Mutex::new(None),
            tasks: Mutex::new(None),
        }
    }

    /// The program's name.
    #[must_use]
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// The runtime of the program's work.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// What the program is doing.
    #[must_use]
    pub fn phase(&self) -> &'static str {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what the program is doing, such as `fetching`. A phase is a label of metrics, so it is one of a few words in the
    /// code, never text made at run time.
    pub fn set_phase(&self, phase: &'static str) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Sets the figures of a scheduler.
    pub fn set_schedule(&self, schedule: ScheduleFigures) {
        *self.schedule.lock().unwrap_or_else(PoisonError::into_inner) = Some(schedule);
    }

    /// Sets the source of progress, which must not block.
    pub fn set_progress(&self, ask: Option<Arc<dyn Fn() -> BoardsProgress + Send + Sync>>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = ask;
    }

    /// Sets the source of the live tasks, which must not block.
    pub fn set_tasks(&self, ask: Option<Arc<dyn Fn() -> Vec<TaskInfo> + Send + Sync>>) {
        *self.tasks.lock().unwrap_or_else(PoisonError::into_inner) = ask;
    }

    /// Lists these tasks.
    pub fn list_tasks(&self, tasks: &Tasks) {
        let tasks = tasks.clone();
        self.set_tasks(Some(Arc::new(move || tasks.list())));
    }

    /// What the program holds and does now.
    ///
    /// # Errors
    /// If the allocator or the kernel fails to report.
    pub fn stats(&self) -> Result<Stats, MemoryError> {
        Ok(self.stats_of(memory::figures()?, memory::pss_bytes()?))
    }

    /// The same, with figures that are already read.
    pub(super) fn stats_of(&self, figures: Figures, pss_bytes: u64) -> Stats {
        let ask = self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Stats {
            program: self.program.to_owned(),
            pid: std::process::id(),
            pid_namespace: self.pid_namespace,
            version: self.version.to_owned(),
            started_at: timestamp(self.started_at),
            uptime_s: seconds(self.started.elapsed()),
            phase: self.phase().to_owned(),
            figures,
            pss_bytes,
            limit_bytes: self.limit_bytes,
            tasks: self.runtime.metrics().num_alive_tasks() as u64,
            progress: ask.map(|ask| ask()),
            schedule: self.schedule.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// A heap profile of this process.
    ///
    /// # Errors
    /// If this process cannot be profiled.
    pub(super) fn heap_profile(&self) -> Result<Dump, MemoryError> {
        let now = self.started_at + self.started.elapsed();
        let at_ms = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        Dump::take(self.program, self.version, u64::try_from(at_ms).unwrap_or(u64::MAX))
    }

    /// The live tasks, oldest first.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskStats> {
        let ask = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut tasks = ask.map(|ask| ask()).unwrap_or_default();
        tasks.sort_by_key(|task| task.since);
        let told = |task: TaskInfo| TaskStats {
            name: task.name.to_owned(),
            age_s: seconds(task.since.elapsed()),
            place: format!("{}:{}", task.place.file(), task.place.line()),
        };
        tasks.into_iter().map(told).collect()
    }
}

/// In whole milliseconds.
fn seconds(duration: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
    let milliseconds = duration.as_millis() as f64;
    milliseconds / 1000.0
}
