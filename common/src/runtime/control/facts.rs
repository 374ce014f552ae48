//! What only the program itself knows. The rest comes from the allocator, the kernel and the runtime.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;

use super::stats::{BoardsProgress, ScheduleFigures, Stats, TaskStats};
use crate::runtime::memory::profile::Dump;
use crate::runtime::memory::{self, Figures, MemoryError};
use crate::runtime::pid_namespace::pid_namespace;
use crate::runtime::tasks::{TaskInfo, Tasks};
use crate::runtime::timestamp;

type ProgressSource = Arc<dyn Fn() -> BoardsProgress + Send + Sync>;

/// What a program reports about itself, shared with its control socket. Setting and reading clone a pointer at most, so neither waits
/// for the other.
pub struct Facts {
    program: &'static str,
    version: &'static str,
    pid_namespace: Option<u64>,
    started: Instant,
    started_at: SystemTime,
    runtime: Handle,
    limit_bytes: Option<u64>,
    changing: Mutex<Changing>,
}

/// What changes while the program runs.
struct Changing {
    phase: &'static str,
    schedule: Option<ScheduleFigures>,
    progress: Option<ProgressSource>,
    tasks: Option<Tasks>,
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
            changing: Mutex::new(Changing { phase: "starting", schedule: None, progress: None, tasks: None }),
        }
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.changing().phase
    }

    /// Sets what the program is doing, such as `fetching`. A phase is a label of metrics, so it is one of a few words in the
    /// code, never text made at run time.
    pub fn set_phase(&self, phase: &'static str) {
        self.changing().phase = phase;
    }

    /// Sets the figures of a scheduler.
    pub fn set_schedule(&self, schedule: ScheduleFigures) {
        self.changing().schedule = Some(schedule);
    }

    /// Sets the source of progress, which must not block.
    pub fn set_progress(&self, source: Option<ProgressSource>) {
        self.changing().progress = source;
    }

    /// Sets the tasks to report.
    pub fn set_tasks(&self, tasks: Option<Tasks>) {
        self.changing().tasks = tasks;
    }

    /// The current figures of the program.
    ///
    /// # Errors
    /// If the allocator or the kernel fails to report.
    pub fn stats(&self) -> Result<Stats, MemoryError> {
        Ok(self.stats_of(memory::figures()?, memory::pss_bytes()?))
    }

    /// The same, with figures that are already read.
    pub(super) fn stats_of(&self, figures: Figures, pss_bytes: u64) -> Stats {
        let changing = self.changing();
        let (phase, schedule, progress) = (changing.phase, changing.schedule.clone(), changing.progress.clone());
        drop(changing);
        Stats {
            program: self.program.to_owned(),
            pid: std::process::id(),
            pid_namespace: self.pid_namespace,
            version: self.version.to_owned(),
            started_at: timestamp(self.started_at),
            uptime_s: seconds(self.started.elapsed()),
            phase: phase.to_owned(),
            figures,
            pss_bytes,
            limit_bytes: self.limit_bytes,
            tasks: self.runtime.metrics().num_alive_tasks() as u64,
            progress: progress.map(|source| source()),
            schedule,
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
        let tasks = self.changing().tasks.clone().unwrap_or_default();
        let stats = |task: TaskInfo| TaskStats {
            name: task.name.to_owned(),
            age_s: seconds(task.since.elapsed()),
            place: format!("{}:{}", task.place.file(), task.place.line()),
        };
        tasks.list().into_iter().map(stats).collect()
    }
}

/// In whole milliseconds.
fn seconds(duration: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
    let milliseconds = duration.as_millis() as f64;
    milliseconds / 1000.0
}
