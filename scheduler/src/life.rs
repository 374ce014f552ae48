//! The scheduler's life, from its lock to its closing line.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use r3e_common::runtime::config::Loaded;
use r3e_common::runtime::control::{Control, Facts};
use r3e_common::runtime::exit::Exit;
use r3e_common::runtime::fs;
use r3e_common::runtime::limits;
use r3e_common::runtime::logging;
use r3e_common::runtime::memory;
use r3e_common::runtime::memory::guard::Guard;
use r3e_common::runtime::memory::ladder::Role;
use r3e_common::runtime::memory::limit::Limits;
use r3e_common::runtime::notify::Supervisor;
use r3e_common::runtime::run_record::Run;
use r3e_common::runtime::shutdown::Shutdown;
use r3e_common::runtime::tasks::Tasks;

use crate::agenda::Counts;
use crate::child::Group;
use crate::engine::{Around, Engine};
use crate::job::Programs;

/// What this program is called where programs are named.
const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// Hidden, in the staging folder beside what the scheduler keeps there.
const LOCK: &str = ".scheduler.lock";

/// Signals, log, control socket, purge, memory limit, and one to hurry a stop.
const THREADS: usize = 6;

/// How much longer than `runtime.stop_grace` a stop may take: to kill a job, and to pass on its last lines.
const CLOSING: Duration = Duration::from_millis(800);

/// Another scheduler would start every job twice.
#[derive(Debug, thiserror::Error)]
#[error("another scheduler is at work on {}", .0.display())]
pub(crate) struct Busy(pub(crate) PathBuf);

/// Schedules until a signal comes.
///
/// # Errors
/// When another scheduler is at work on the same folders, or they cannot be used.
pub(crate) fn run(
    loaded: Loaded,
    programs: Programs,
    supervisor: &Supervisor,
    clock: fn() -> SystemTime,
) -> anyhow::Result<Exit> {
    let config = &loaded.config;
    limits::need_threads(THREADS)?;
    let group = Group::default();
    let shutdown = {
        let group = group.clone();
        Shutdown::listen_as_daemon(config.runtime.stop_grace + CLOSING, move || group.kill())?
    };
    // Whoever reads the log may have stalled; what goes on here does not.
    let behind = logging::write_behind()?;
    let lock = lock(&config.cache.staging_dir)?;
    // Its folder is watched for the trigger file, and may be asked for before the first job has made it.
    fs::publish_folders(&config.cache.dir)?;
    let run = Run { program: PROGRAM, doing: "scheduling".to_owned(), started: clock() };
    let begun = Instant::now();
    // One thread is enough to wait, and the one that starts jobs has to live as long as the process.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(memory::flush_if_asked).build()?;
    let limits = Limits::of(&loaded);
    let facts =
        Facts::new(PROGRAM, run.started, runtime.handle().clone(), limits.as_ref().map(|it| it.smallest().bytes));
    let facts = Arc::new(facts);
    let tasks = Tasks::default();
    let listed = tasks.clone();
    facts.set_tasks(Some(Arc::new(move || listed.list())));
    let guard = Guard::start(limits, Role::Daemon, runtime.handle().clone(), shutdown.token().clone())?;
    let runtime_dir = config.runtime.dir.clone();
    let control = Control::open_or_say(&runtime_dir, Arc::clone(&facts));

    let around = Around { shutdown: &shutdown, supervisor, facts: &facts, tasks: &tasks, group: &group, clock };
    let purge_every = config.memory.purge_every;
    let counts = runtime.block_on(async {
        let engine = Engine::new(loaded, programs, around)?;
        let purging = memory::purge_periodically(&tasks, shutdown.token(), purge_every);
        let counts = engine.run().await;
        purging.stop().await;
        anyhow::Ok(counts)
    })?;
    supervisor.stopping("closing");
    drop(control);
    let Counts { started, failed } = counts;
    tracing::info!(started, failed, "jobs of this run");
    let exit = run.end_daemon(begun.elapsed(), guard.reached().is_some(), &runtime_dir);
    drop(runtime);
    drop(lock);
    if let Some(reached) = guard.reached() {
        tracing::error!("{reached}");
    }
    shutdown.announced();
    tracing::info!("📅 Scheduler task exiting");
    drop(behind);
    drop(shutdown);
    Ok(exit)
}

/// Keeps another scheduler from working on the same folders, as long as the file is held. Where the disk gives no locks there
/// is none: jobs have the writer's lock beside.
fn lock(staging: &Path) -> anyhow::Result<File> {
    fs::publish_folders(staging)?;
    let path = staging.join(LOCK);
    let file = fs::open_lock(&path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(Busy(staging.to_owned()).into()),
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, path = %path.display(), "nothing keeps another scheduler from starting the same jobs");
        }
        Ok(()) => {}
    }
    Ok(file)
}
