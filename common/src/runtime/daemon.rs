//! The life of a daemon from its control socket to its run record, shared by scheduler, `watch` and `serve`.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::runtime::Runtime;

use super::config::Loaded;
use super::control::{Control, Facts};
use super::exit::{Exit, Failure};
use super::memory::limit::Limits;
use super::memory::limiter::MemoryLimiter;
use super::memory::pressure::Role;
use super::run_record::RunRecorder;
use super::shutdown::Shutdown;
use super::tasks::{self, Tasks};

/// Which daemon runs, and where.
#[derive(Debug, Clone, Copy)]
pub struct Daemon<'a> {
    /// The program's name, as the control socket and the run record give it.
    pub program: &'static str,
    /// What it does, as the run record gives it.
    pub doing: &'static str,
    /// The configuration it started with.
    pub loaded: &'a Loaded,
    /// Stops it.
    pub shutdown: &'a Shutdown,
    /// The time of day.
    pub clock: fn() -> SystemTime,
}

/// What the body of a daemon uses.
#[derive(Debug)]
pub struct Services {
    /// What the control socket reports.
    pub facts: Arc<Facts>,
    /// The tasks it lists.
    pub tasks: Tasks,
}

impl Daemon<'_> {
    /// Opens the control socket, keeps the process below its memory limits, and runs `body`, which must end soon after a shutdown is
    /// requested. Leaves a run record, even if `body` fails.
    ///
    /// Returns the exit code and the result of `body`. The exit code is 75 if the memory limit stopped the daemon.
    ///
    /// # Errors
    /// If the system refuses a thread, or `body` fails.
    pub fn run<T>(
        self,
        runtime: &Runtime,
        body: impl AsyncFnOnce(&Services) -> Result<T, Failure>,
    ) -> Result<(Exit, T), Failure> {
        let Self { program, doing, loaded, shutdown, clock } = self;
        let runtime_dir = &loaded.config.runtime.dir;
        let (started, begun) = (clock(), Instant::now());
        let limits = Limits::of(loaded);
        let limit_bytes = limits.as_ref().map(Limits::smallest_bytes);
        let facts = Arc::new(Facts::new(program, started, runtime.handle().clone(), limit_bytes));
        let tasks = Tasks::default();
        facts.set_tasks(Some(tasks.clone()));
        let limiter = MemoryLimiter::start(limits, Role::Daemon, runtime.handle().clone(), shutdown.token().clone())?;
        let control = Control::open_or_warn(runtime_dir, Arc::clone(&facts));
        let result = runtime.block_on(body(&Services { facts, tasks }));
        drop(control);
        let reached = limiter.reached();
        let (outcome, exit) = match (&result, &reached) {
            (Err(failure), _) => (failure.to_string(), failure.exit()),
            (Ok(_), Some(_)) => ("memory limit".to_owned(), Exit::TryAgain),
            (Ok(_), None) => ("done".to_owned(), Exit::Done),
        };
        let recorder = RunRecorder { program, doing: doing.to_owned(), started };
        let tasks_left = tasks::left(runtime);
        recorder.record(begun.elapsed(), outcome, exit, serde_json::Map::new(), tasks_left, runtime_dir);
        if let Some(reached) = reached {
            tracing::error!("{reached}");
        }
        shutdown.flush_log();
        Ok((exit, result?))
    }
}
