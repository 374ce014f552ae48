//! `watch`: samples all programs into the history, and has all of them purge regularly, until it is stopped.
//!
//! A slow disk does not delay sampling: the history is written on a thread of its own ([`recorder`]).

mod heartbeat;
mod leak_warnings;
mod recorder;
mod sampler;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use r3e_common::runtime::config::{Config, Loaded};
use r3e_common::runtime::daemon::{Daemon, Services};
use r3e_common::runtime::exit::{Exit, Failure, Fatal};
use r3e_common::runtime::fs;
use r3e_common::runtime::notify::Supervisor;
use r3e_common::runtime::periodic::ticks;
use r3e_common::runtime::shutdown::Shutdown;
use r3e_common::runtime::signals::Reaper;
use r3e_common::runtime::tasks::Tasks;
use tokio_util::sync::CancellationToken;

use heartbeat::Heartbeat;
use recorder::Recorder;
use sampler::Sampler;

/// Another watch writes this history. With two, every process would be purged and every sample written twice.
#[derive(Debug, thiserror::Error)]
#[error("another watch keeps the history {}", .0.display())]
pub(crate) struct Busy(pub(crate) PathBuf);

impl Fatal for Busy {
    fn exit(&self) -> Exit {
        Exit::TryAgain
    }
}

const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// Watches until a signal arrives.
///
/// Returns 75 if the memory limit was reached.
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
    let recorder = Recorder::start(history.clone(), config.runtime.dir.clone(), config.monitor.keep, clock)?;
    let daemon = Daemon { program: PROGRAM, doing: "watch", loaded, shutdown: &shutdown, clock };
    let ended = daemon.run(runtime, async |Services { facts, tasks }| {
        facts.set_phase("watching");
        // From here on the control socket answers, and signals stop the watch.
        tracing::info!(
            history = %history.display(),
            sockets = %config.runtime.dir.display(),
            every = %humantime::format_duration(config.monitor.every),
            purge_every = %humantime::format_duration(config.memory.purge_every),
            "watching"
        );
        supervisor.ready("watching");
        watch(config, tasks, &recorder, (clock, supervisor), shutdown.token()).await;
        supervisor.stopping("stopping");
        Ok(())
    });
    // It also imports the record of this run.
    recorder.stop();
    let (exit, ()) = ended?;
    tracing::info!("⏹️ Memory monitoring stopped");
    Ok(exit)
}

async fn watch(
    config: &Config,
    tasks: &Tasks,
    recorder: &Recorder,
    (clock, supervisor): (fn() -> SystemTime, &Supervisor),
    stop: &CancellationToken,
) {
    let heartbeat = Heartbeat::new(supervisor);
    let mut sampler = Sampler::new(config.runtime.dir.clone(), clock);
    let sample = async {
        let mut every = ticks(config.monitor.every);
        loop {
            every.tick().await;
            recorder.record(heartbeat.round(sampler.sample()).await);
        }
    };
    let purge = async {
        let mut every = ticks(config.memory.purge_every);
        // The first tick comes at once, when there is nothing to purge yet.
        every.tick().await;
        loop {
            every.tick().await;
            recorder.record(sampler::purge(&config.runtime.dir, clock).await);
        }
    };
    // A purge may take seconds, and sampling continues meanwhile.
    let (sample, purge) = (tasks.track("taking samples", sample), tasks.track("having programs purge", purge));
    let watchdog = tasks.track("feeding the watchdog", heartbeat.feed_watchdog());
    let all = async { tokio::join!(sample, purge, watchdog, Reaper::reap_all()) };
    let _stopped = stop.run_until_cancelled(all).await;
}

/// Locks the history against another watch, until the file is dropped. On a disk without locks the watch runs without.
fn lock(history: &Path) -> Result<Option<std::fs::File>, Busy> {
    let path = crate::history::lock_path(history);
    match fs::create_folders(fs::parent(&path)).and_then(|()| fs::lock_exclusively(&path)) {
        Ok(Some(file)) => Ok(Some(file)),
        Ok(None) => Err(Busy(history.to_owned())),
        Err(error) => {
            tracing::warn!(%error, "cannot lock the history: another watch may write it too");
            Ok(None)
        }
    }
}
