//! The scheduler's life, from its lock to its closing line.

use std::path::PathBuf;
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
use crate::child::ProcessGroup;
use crate::engine::{Context, Engine};
use crate::job::Programs;

const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// In the staging folder.
const LOCK: &str = ".scheduler.lock";

/// Signals, log, control socket, purge, memory limiter, and the watchdog of a stop.
const THREADS: usize = 6;

/// How much longer than `runtime.stop_grace` a stop may take, to kill the job and pass on its last lines.
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

/// Runs the scheduler until a signal stops it.
///
/// # Errors
/// If another scheduler uses the same folders, or they are unusable.
pub(crate) fn run(
    loaded: &Loaded,
    programs: Programs,
    supervisor: &Supervisor,
    clock: fn() -> SystemTime,
) -> Result<Exit, Failure> {
    let config = &loaded.config;
    limits::need_threads(THREADS)?;
    let group = ProcessGroup::default();
    let shutdown = {
        let group = group.clone();
        Shutdown::listen_with_child(config.runtime.stop_grace + CLOSING, move || group.kill())?
    };
    // A stalled reader of the log must not stall the scheduler.
    let background_writer = BackgroundWriter::start()?;
    fs::publish_folders(&config.cache.staging_dir)?;
    let lock = fs::lock_exclusively(&config.cache.staging_dir.join(LOCK))?;
    let lock = lock.ok_or_else(|| Busy(config.cache.staging_dir.clone()))?;
    // Created now, so that it can be watched for the trigger file.
    fs::publish_folders(&config.cache.dir)?;
    // Jobs must be started on a thread that lives as long as the process; one thread is enough.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(memory::flush_if_asked).build()?;
    let daemon = Daemon { program: PROGRAM, doing: "scheduling", loaded, shutdown: &shutdown, clock };
    let (exit, Counts { started, failed, commands_failed }) =
        daemon.run(&runtime, async |Services { facts, tasks }| {
            let context = Context { shutdown: &shutdown, supervisor, facts, tasks, group: &group, clock };
            let engine = Engine::new(loaded, programs, context)?;
            let purging = memory::purge_periodically(tasks, shutdown.token(), config.memory.purge_every);
            let counts = engine.run().await;
            purging.stop().await;
            supervisor.stopping("closing");
            Ok(counts)
        })?;
    tracing::info!(started, failed, commands_failed, "jobs of this run");
    drop(runtime);
    drop(lock);
    tracing::info!("📅 Scheduler task exiting");
    drop(background_writer);
    drop(shutdown);
    Ok(exit)
}
