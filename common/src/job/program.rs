//! A job from its command line to its exit code: what loader and refresher do alike.

use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

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
use crate::runtime::run_record::Run;
use crate::runtime::shutdown::Shutdown;

/// Files of a job beside those of boards: standard streams, locks, signals, the runtime's and the control socket's, with
/// those who ask there.
const OPEN_FILES: usize = 48;

/// Threads of a job beside workers: signals, control socket, purge, memory limit, publishing, looking up a name.
const THREADS: usize = 6;

/// Flags that every job has.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct JobArgs {
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Wait so long, such as 10m, for another writer to be done, instead of exiting with 75 at once
    #[arg(long, global = true, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,
    /// Stop in order when this process, which has to be the one that started this, is gone; the scheduler says so of itself
    #[arg(long, global = true, value_name = "PID")]
    pub parent: Option<u32>,
}

/// Runs a job (see [`run`](super::run)) and returns its exit code. `doing` describes it to a job that finds the cache locked.
#[must_use]
pub fn run_job(
    (program, doing): (&'static str, String),
    loaded: &Loaded,
    arguments: JobArgs,
    quiet: bool,
    plan: impl FnOnce(&Job, &[BoardState]) -> Result<Option<Plan>, JobError>,
) -> Exit {
    let config = &loaded.config;
    let refused = |what: &str, error: std::io::Error| {
        tracing::error!("{what}: {error}");
        error.exit()
    };
    memory::warn_if_not_tuned();
    if let Err(error) = need(config.upstream.concurrency) {
        tracing::error!("{error}");
        return error.exit();
    }
    let shutdown = match Shutdown::listen(config.runtime.stop_grace) {
        Ok(shutdown) => shutdown,
        Err(error) => return refused("cannot listen for signals", error),
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
        Err(error) => return refused("cannot start the runtime", error),
    };
    let (begun, started) = (Instant::now(), SystemTime::now());
    let limits = Limits::of(loaded);
    let facts = Facts::new(program, started, runtime.handle().clone(), limits.as_ref().map(Limits::smallest_bytes));
    let facts = Arc::new(facts);
    let control = Control::open_or_say(&config.runtime.dir, Arc::clone(&facts));
    let record = Run { program, doing: doing.clone(), started };
    let style = Style::for_stderr(quiet);
    let wait = arguments.wait.unwrap_or_default();
    let options = Options { facts, doing, limits, wait, style, clock: SystemTime::now };

    let result = runtime.block_on(super::run::run(config, &options, shutdown.token().clone(), plan));
    // A name that is being looked up cannot be called off.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let (exit, outcome, boards) = match &result {
        Ok(summary) => {
            let outcome = summary.outcome.name().to_owned();
            (summary.outcome.exit(shutdown.exit()), outcome, summary.boards.to_json())
        }
        Err(JobError::StoppedWaiting) => {
            (shutdown.exit().unwrap_or(Exit::Terminated), "stopped".to_owned(), Value::Null)
        }
        Err(error) => (error.exit(), error.to_string(), Value::Null),
    };
    let boards = boards.as_object().cloned().unwrap_or_default();
    record.leave(begun.elapsed(), outcome, exit, boards, &config.runtime.dir);
    drop(control);
    let summary = match result {
        Ok(summary) => summary,
        Err(JobError::StoppedWaiting) => return exit,
        Err(error) => return Failure::from(error).report(),
    };
    match &summary.outcome {
        Outcome::Unavailable(why) => tracing::error!("the service is unavailable: {why}"),
        Outcome::MemoryLimit(why) => tracing::error!("{why}"),
        _ => {}
    }
    let result = if arguments.json { format!("{}\n", summary.to_json(program, exit)) } else { summary.to_string() };
    let exit = print(&result, exit);
    // Until here a signal bounds the time that a reader of our output has.
    drop(shutdown);
    exit
}

/// Makes sure that the system gives a job what it needs at its busiest.
fn need(concurrency: usize) -> Result<(), LimitError> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    // A connection for each board in flight; and on each core, files of a board that is read, one that is compared and one
    // that is written.
    limits::need_open_files((OPEN_FILES + concurrency + 3 * cores) as u64)?;
    // A worker for each core, and one more to take its place while it waits for the disk.
    limits::need_threads(THREADS + 2 * cores)
}

/// From now on this process gets SIGHUP when its parent is gone: a job does not outlive its scheduler as a second writer.
fn stop_with(parent: u32) -> Result<(), Exit> {
    if let Err(error) = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGHUP) {
        tracing::error!("--parent {parent}: cannot ask for its death to be told: {error}");
        return Err(Exit::Unexpected);
    }
    // It may have gone before it was asked for.
    let found = nix::unistd::getppid();
    if u32::try_from(found.as_raw()) == Ok(parent) {
        return Ok(());
    }
    let there =
        i32::try_from(parent).is_ok_and(|it| nix::sys::signal::kill(nix::unistd::Pid::from_raw(it), None).is_ok());
    if there {
        tracing::error!("--parent {parent}: is not what started this process: expected {found}");
        return Err(Exit::Usage);
    }
    tracing::error!("--parent {parent}: is gone already");
    Err(Exit::Terminated)
}
