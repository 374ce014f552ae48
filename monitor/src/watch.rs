//! `watch`: samples all programs into the history, and has all of them purge from time to time, until it is stopped.
//!
//! Asking goes on whatever the disk does: the history is written on a thread of its own ([`keeper`]), which takes what it
//! can and says when it cannot.

mod judging;
mod keeper;
mod round;
mod supervised;

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use r3e_common::runtime::config::{Config, Loaded};
use r3e_common::runtime::daemon::{Daemon, Services};
use r3e_common::runtime::exit::{Exit, Failure, Fatal};
use r3e_common::runtime::fs;
use r3e_common::runtime::notify::Supervisor;
use r3e_common::runtime::shutdown::Shutdown;
use r3e_common::runtime::signals::Reaper;
use r3e_common::runtime::tasks::Tasks;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use keeper::Keeper;
use round::Round;
use supervised::Supervised;

/// Another watch writes this history: each of the two would have every process purge and every sample written twice.
#[derive(Debug, thiserror::Error)]
#[error("another watch keeps the history {}", .0.display())]
pub(crate) struct Busy(pub(crate) PathBuf);

impl Fatal for Busy {
    fn exit(&self) -> Exit {
        Exit::TryAgain
    }
}

/// What this program is called where programs are named.
const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// Watches until a signal comes.
///
/// Returns 75 if the memory limit was reached.
///
/// # Errors
/// If another watch keeps the history, or it belongs to a later version or another program. A failing disk is logged and waited for.
pub(crate) fn run(
    loaded: &Loaded,
    runtime: &tokio::runtime::Runtime,
    supervisor: &Supervisor,
    clock: fn() -> SystemTime,
) -> Result<Exit, Failure> {
    let config = &loaded.config;
    let shutdown = Shutdown::listen(config.runtime.stop_grace)?;
    let history = &config.monitor.history;
    let _lock = lock(history)?;
    let keeper = Keeper::start(history.clone(), config.runtime.dir.clone(), config.monitor.keep, clock)?;
    let daemon = Daemon { program: PROGRAM, doing: "watch", loaded, shutdown: &shutdown, clock };
    let ended = daemon.run(runtime, async |Services { facts, tasks }| {
        facts.set_phase("watching");
        // Whoever reads this may ask, and stop it.
        tracing::info!(
            history = %history.display(),
            sockets = %config.runtime.dir.display(),
            every = %humantime::format_duration(config.monitor.every),
            purge_every = %humantime::format_duration(config.memory.purge_every),
            "watching"
        );
        supervisor.ready("watching");
        watch(config, tasks, &keeper, (clock, supervisor), shutdown.token()).await;
        supervisor.stopping("stopping");
        Ok(())
    });
    // It takes in the record of this run too.
    keeper.stop();
    let (exit, ()) = ended?;
    tracing::info!("⏹️ Memory monitoring stopped");
    Ok(exit)
}

async fn watch(
    config: &Config,
    tasks: &Tasks,
    keeper: &Keeper,
    (clock, supervisor): (fn() -> SystemTime, &Supervisor),
    stop: &CancellationToken,
) {
    let supervised = Supervised::new(supervisor);
    let mut sampling = Round::new(config.runtime.dir.clone(), clock);
    let sample = async {
        let mut every = every(config.monitor.every);
        loop {
            every.tick().await;
            keeper.keep(supervised.round(sampling.sample()).await);
        }
    };
    let purge = async {
        let mut every = every(config.memory.purge_every);
        // The first comes at once, when there is nothing yet to be given back.
        every.tick().await;
        loop {
            every.tick().await;
            keeper.keep(round::purge(&config.runtime.dir, clock).await);
        }
    };
    // A purge may take seconds, and samples go on meanwhile.
    let (sample, purge) = (tasks.track("taking samples", sample), tasks.track("having programs purge", purge));
    let watchdog = async {
        if let Some(period) = supervised.watchdog_every() {
            tasks.track("feeding the watchdog", supervised.feed_watchdog(period)).await;
        }
    };
    let all = async { tokio::join!(sample, purge, watchdog, Reaper::reap_all()) };
    let _stopped = stop.run_until_cancelled(all).await;
}

/// From now on, every so often; what was missed is not made up for.
fn every(period: Duration) -> tokio::time::Interval {
    let mut every = tokio::time::interval(period);
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    every
}

/// Keeps others from writing the same history, as long as the file is held. On a disk that does not give a lock there is
/// none, and the watch goes on without.
fn lock(history: &Path) -> Result<Option<std::fs::File>, Busy> {
    let path = crate::history::lock_path(history);
    let file = match fs::create_folders(fs::parent(&path)).and_then(|()| fs::open_lock(&path)) {
        Ok(file) => file,
        Err(error) => {
            tracing::warn!(%error, "nothing keeps another watch from writing the same history");
            return Ok(None);
        }
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Busy(history.to_owned())),
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, "nothing keeps another watch from writing the same history");
            Ok(None)
        }
    }
}
