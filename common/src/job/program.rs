//! A job from its command line to its exit code.

use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use super::progress_bar::Style;
use super::{Job, JobError, Options, Outcome, Plan};
use crate::index::BoardState;
use crate::runtime::config::Loaded;
use crate::runtime::control::{Control, Facts};
use crate::runtime::exit::{Exit, Failure, Fatal as _};
use crate::runtime::limits::{self, LimitError};
use crate::runtime::memory;
use crate::runtime::memory::limit::Limits;
use crate::runtime::output::print;
use crate::runtime::run_record::RunRecorder;
use crate::runtime::shutdown::Shutdown;
use crate::runtime::tasks;

/// Open files besides those of boards: standard streams, locks, signals, the runtime, the control socket and its clients.
const OPEN_FILES: usize = 48;

/// Threads besides workers: signals, control socket, purge, memory limiter, publishing, DNS.
const THREADS: usize = 6;

/// The flags of every job.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct JobArgs {
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Wait up to this long for another writer (e.g. 10m); by default exit with 75 immediately
    #[arg(long, global = true, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,
    /// Stop when this process, which must be the parent, has ended; used by the scheduler
    #[arg(long, global = true, value_name = "PID")]
    pub parent: Option<u32>,
}

/// Runs a job (see [`run`](super::run)) and returns its exit code. Jobs that find the cache locked report `doing`.
#[must_use]
pub fn run_job(
    (program, doing): (&'static str, String),
    loaded: &Loaded,
    arguments: JobArgs,
    quiet: bool,
    plan: impl FnOnce(&Job, &[BoardState]) -> Result<Option<Plan>, JobError>,
) -> Exit {
    let config = &loaded.config;
    let failed = |message: &str, error: std::io::Error| {
        tracing::error!(%error, "{message}");
        error.exit()
    };
    memory::warn_if_not_tuned();
    if let Err(error) = need(config.upstream.concurrency) {
        tracing::error!("{error}");
        return error.exit();
    }
    let shutdown = match Shutdown::listen(config.runtime.stop_grace) {
        Ok(shutdown) => shutdown,
        Err(error) => return failed("cannot listen for signals", error),
    };
    if let Some(parent) = arguments.parent
        && let Err(exit) = stop_with(parent)
    {
        return exit;
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().on_thread_park(memory::flush_if_asked).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed("cannot start the runtime", error),
    };
    let (begun, started) = (Instant::now(), SystemTime::now());
    let limits = Limits::of(loaded);
    let facts = Facts::new(program, started, runtime.handle().clone(), limits.as_ref().map(Limits::smallest_bytes));
    let facts = Arc::new(facts);
    let control = Control::open_or_warn(&config.runtime.dir, Arc::clone(&facts));
    let recorder = RunRecorder { program, doing: doing.clone(), started };
    let style = Style::for_stderr(quiet);
    let wait = arguments.wait.unwrap_or_default();
    let options = Options { facts, doing, limits, wait, style, clock: SystemTime::now };

    let result = runtime.block_on(super::run::run(config, &options, shutdown.token().clone(), plan));
    let tasks_left = tasks::left(&runtime);
    // A DNS lookup cannot be cancelled.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let (exit, outcome, boards) = match &result {
        Ok(summary) => {
            let outcome = summary.outcome.name().to_owned();
            let mut boards = json!(summary.boards);
            boards["entries"] = summary.entries.into();
            (summary.outcome.exit(shutdown.exit()), outcome, boards)
        }
        Err(JobError::StoppedWaiting) => {
            (shutdown.exit().unwrap_or(Exit::Terminated), "stopped".to_owned(), Value::Null)
        }
        Err(error) => (error.exit(), error.to_string(), Value::Null),
    };
    let boards = boards.as_object().cloned().unwrap_or_default();
    recorder.record(begun.elapsed(), outcome, exit, boards, tasks_left, &config.runtime.dir);
    drop(control);
    let summary = match result {
        Ok(summary) => summary,
        Err(JobError::StoppedWaiting) => return exit,
        Err(error) => return Failure::from(error).report(),
    };
    match &summary.outcome {
        Outcome::Unavailable(why) => tracing::error!(reason = why, "the service is unavailable"),
        Outcome::MemoryLimit(why) => tracing::error!("{why}"),
        _ => {}
    }
    let result = if arguments.json { format!("{}\n", summary.to_json(program, exit)) } else { summary.to_string() };
    let exit = print(&result, exit);
    // Until here, a stop is bounded even if nobody reads the output.
    drop(shutdown);
    exit
}

/// Checks that the system's limits are high enough.
fn need(concurrency: usize) -> Result<(), LimitError> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    // A connection for each board in flight; on each core, a board that is read, one that is compared and one that is written.
    limits::need_open_files((OPEN_FILES + concurrency + 3 * cores) as u64)?;
    // A worker for each core, and one to replace it while it waits for the disk.
    limits::need_threads(THREADS + 2 * cores)
}

/// Has the kernel send SIGHUP when the parent ends, so that a job does not outlive its scheduler.
fn stop_with(parent: u32) -> Result<(), Exit> {
    if let Err(error) = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGHUP) {
        tracing::error!("--parent {parent}: cannot watch the parent process: {error}");
        return Err(Exit::Unexpected);
    }
    // It may have ended before that.
    let found = nix::unistd::getppid();
    if u32::try_from(found.as_raw()) == Ok(parent) {
        return Ok(());
    }
    let exists =
        i32::try_from(parent).is_ok_and(|it| nix::sys::signal::kill(nix::unistd::Pid::from_raw(it), None).is_ok());
    if exists {
        tracing::error!("--parent {parent}: not the parent process, expected {found}");
        return Err(Exit::Usage);
    }
    tracing::error!("--parent {parent}: that process has ended");
    Err(Exit::Terminated)
}
