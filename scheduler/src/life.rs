//! The scheduler's life, from its lock to its closing line.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use r3e_common::runtime::config::Loaded;
use r3e_common::runtime::daemon::{Daemon, Services};
use r3e_common::runtime::exit::{Exit, Failure, Fatal};
use r3e_common::runtime::fs;
use r3e_common::runtime::limits;
use r3e_common::runtime::logging::BackgroundWriter;
use r3e_common::runtime::memory;
use r3e_common::runtime::notify::Supervisor;
use r3e_common::runtime::shutdown::Shutdown;

use crate::agenda::Counts;
use crate::child::Group;
use crate::engine::{Context, Engine};
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

impl Fatal for Busy {
    fn exit(&self) -> Exit {
        Exit::TryAgain
    }
}

/// Schedules until a signal comes.
///
/// # Errors
/// When another scheduler is at work on the same folders, or they cannot be used.
pub(crate) fn run(
    loaded: &Loaded,
    programs: Programs,
    supervisor: &Supervisor,
    clock: fn() -> SystemTime,
) -> Result<Exit, Failure> {
    let config = &loaded.config;
    limits::need_threads(THREADS)?;
    let group = Group::default();
    let shutdown = {
        let group = group.clone();
        Shutdown::listen_as_daemon(config.runtime.stop_grace + CLOSING, move || group.kill())?
    };
    // A stalled reader of the log must not stall the scheduler.
    let background_writer = BackgroundWriter::start()?;
    let lock = lock(&config.cache.staging_dir)?;
    // Its folder is watched for the trigger file, and may be asked for before the first job has made it.
    fs::publish_folders(&config.cache.dir)?;
    // One thread is enough to wait, and the one that starts jobs has to live as long as the process.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(memory::flush_if_asked).build()?;
    let daemon = Daemon { program: PROGRAM, doing: "scheduling", loaded, shutdown: &shutdown, clock };
    let (exit, Counts { started, failed }) = daemon.run(&runtime, async |Services { facts, tasks }| {
        let context = Context { shutdown: &shutdown, supervisor, facts, tasks, group: &group, clock };
        let engine = Engine::new(loaded, programs, context)?;
        let purging = memory::purge_periodically(tasks, shutdown.token(), config.memory.purge_every);
        let counts = engine.run().await;
        purging.stop().await;
        supervisor.stopping("closing");
        Ok(counts)
    })?;
    tracing::info!(started, failed, "jobs of this run");
    drop(runtime);
    drop(lock);
    tracing::info!("📅 Scheduler task exiting");
    drop(background_writer);
    drop(shutdown);
    Ok(exit)
}

/// Keeps another scheduler from working on the same folders, as long as the file is held. Where the disk gives no locks there
/// is none: jobs have the writer's lock beside.
fn lock(staging: &Path) -> Result<File, Failure> {
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
