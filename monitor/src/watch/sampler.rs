//! Asks every program that has a socket, and turns the answers into samples.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use r3e_common::runtime::control::{Endpoint, PurgeStats, Stats};
use r3e_common::runtime::logging::RecurringError;
use r3e_common::runtime::memory;
use r3e_common::runtime::pid_namespace::pid_namespace;
use r3e_common::runtime::tasks::Blocking;

use crate::history::{Batch, Sample, milliseconds, started_ms};
use crate::kernel;
use crate::sockets::Pid;
use crate::survey::{Reply, ask_every_program};

/// Takes samples, and remembers who did not answer.
#[derive(Debug)]
pub(super) struct Sampler {
    folder: PathBuf,
    clock: fn() -> SystemTime,
    listing: RecurringError,
    silent: HashSet<(String, Pid)>,
}

impl Sampler {
    /// Samples the programs with sockets in that folder.
    pub(super) fn new(folder: PathBuf, clock: fn() -> SystemTime) -> Self {
        let listing = RecurringError::new("cannot list the control sockets", "the control sockets can be listed again");
        Self { folder, clock, listing, silent: HashSet::new() }
    }

    /// Asks all programs for their figures. The batch is empty if the folder cannot be read.
    pub(super) async fn sample(&mut self) -> Batch {
        let replies = match ask_every_program::<Stats>(&self.folder, Endpoint::Stats).await {
            Ok(replies) => replies,
            Err(error) => {
                self.listing.failed(&error);
                return Batch::default();
            }
        };
        self.listing.succeeded();
        self.log_silent(&replies);
        let silent = replies.iter().filter(|reply| !reply.is_dead() && reply.answer.is_err());
        let silent = silent.map(|reply| (reply.socket.program.clone(), reply.socket.pid.id)).collect();
        let samples = replies.into_iter().filter_map(|reply| sample(reply.answer.ok()?, false)).collect();
        Batch { at_ms: milliseconds((self.clock)()), samples, silent: Some(silent) }
    }

    /// Logs once that a program does not answer, and once that it does again.
    fn log_silent(&mut self, replies: &[Reply<Stats>]) {
        let mut silent = HashMap::new();
        for reply in replies.iter().filter(|reply| !reply.is_dead()) {
            if let Err(why) = &reply.answer {
                silent.insert((reply.socket.program.clone(), reply.socket.pid), why.to_string());
            }
        }
        for ((program, pid), why) in &silent {
            if !self.silent.contains(&(program.clone(), *pid)) {
                tracing::warn!(program, pid = pid.id, instance = pid.later(), "not answering: {why}");
            }
        }
        for (program, pid) in &self.silent {
            let answers = |reply: &&Reply<Stats>| reply.identity() == (program, *pid) && reply.answer.is_ok();
            if replies.iter().any(|reply| answers(&reply)) {
                tracing::info!(program, pid = pid.id, instance = pid.later(), "answers again");
            }
        }
        self.silent = silent.into_keys().collect();
    }
}

/// Has all programs with a socket in that folder purge, and logs each purge. Returns samples taken right after.
pub(super) async fn purge(folder: &Path, clock: fn() -> SystemTime) -> Batch {
    // The sampler logs if the folder cannot be read.
    let replies = ask_every_program::<PurgeStats>(folder, Endpoint::Purge).await.unwrap_or_default();
    let (us, namespace) = (std::process::id(), pid_namespace());
    let mut samples = Vec::new();
    let mut purged_ourselves = false;
    for reply in replies.into_iter().filter(|reply| !reply.is_dead()) {
        let Reply { socket, answer } = reply;
        let (program, pid) = socket.identity();
        match answer {
            Ok(PurgeStats { after, given_back_bytes, took_ms, .. }) => {
                tracing::info!(
                    program,
                    pid = pid.id,
                    instance = pid.later(),
                    given_back_bytes,
                    took_ms,
                    "{}",
                    after.figures.periodic_line()
                );
                purged_ourselves |= after.pid == us && after.pid_namespace == namespace;
                samples.extend(sample(after, true));
            }
            Err(why) => tracing::warn!(program, pid = pid.id, instance = pid.later(), "not purged: {why}"),
        }
    }
    if !purged_ourselves {
        purge_this_process().await;
    }
    Batch { at_ms: milliseconds(clock()), samples, silent: None }
}

/// The sample of an answer. `None` if it has no start time, which identifies the process.
fn sample(stats: Stats, after_purge: bool) -> Option<Sample> {
    started_ms(&stats)?;
    // A process id of another namespace may be another process here.
    let is_here = stats.pid_namespace.is_none_or(|it| pid_namespace() == Some(it));
    let start_ticks = if is_here { kernel::start_ticks(stats.pid) } else { None };
    Some(Sample { stats, start_ticks, after_purge })
}

/// For a watch that has no control socket.
async fn purge_this_process() {
    match Blocking::start("purge", memory::purge).await {
        Ok(Ok(purged)) => tracing::info!(
            program = env!("CARGO_PKG_NAME"),
            pid = std::process::id(),
            took_ms = purged.took.as_millis(),
            "{}",
            purged.after.periodic_line()
        ),
        Ok(Err(error)) => tracing::warn!(%error, "cannot purge"),
        Err(error) => tracing::error!(%error, "cannot purge"),
    }
}
