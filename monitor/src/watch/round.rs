//! One round: asking every program that has a socket, and making of the answers what is kept.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use r3e_common::runtime::control::{PurgeStats, Stats};
use r3e_common::runtime::logging::RecurringError;
use r3e_common::runtime::memory;
use r3e_common::runtime::pid_namespace::pid_namespace;
use r3e_common::runtime::tasks::Blocking;

use crate::ask::Question;
use crate::history::{Batch, Sample, milliseconds, started_ms};
use crate::kernel;
use crate::sockets::Pid;
use crate::survey::{Reply, ask_every_program};

/// Asks again and again, and remembers who did not answer.
#[derive(Debug)]
pub(super) struct Round {
    folder: PathBuf,
    clock: fn() -> SystemTime,
    looking: RecurringError,
    silent: HashSet<(String, Pid)>,
}

impl Round {
    /// Of the sockets in that folder.
    pub(super) fn new(folder: PathBuf, clock: fn() -> SystemTime) -> Self {
        let looking = RecurringError::new("cannot list the control sockets", "the control sockets can be listed again");
        Self { folder, clock, looking, silent: HashSet::new() }
    }

    /// Asks all what they hold. Nothing is kept where the folder of the sockets cannot be read.
    pub(super) async fn sample(&mut self) -> Batch {
        let replies = match ask_every_program::<Stats>(&self.folder, Question::Stats).await {
            Ok(replies) => replies,
            Err(error) => {
                self.looking.failed(&error);
                return Batch::default();
            }
        };
        self.looking.succeeded();
        self.note_silent(&replies);
        let silent = replies.iter().filter(|reply| !reply.is_dead() && reply.answer.is_err());
        let silent = silent.map(|reply| (reply.socket.program.clone(), reply.socket.pid.id)).collect();
        let samples = replies.into_iter().filter_map(|reply| sample(reply.answer.ok()?, false)).collect();
        Batch { at_ms: milliseconds((self.clock)()), samples, silent: Some(silent) }
    }

    /// Tells once that a program does not answer, and once that it does again.
    fn note_silent(&mut self, replies: &[Reply<Stats>]) {
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

/// Has all that have a socket in that folder give back what they do not use, and writes the line that operators know for
/// each. Gives what they hold then.
pub(super) async fn purge(folder: &Path, clock: fn() -> SystemTime) -> Batch {
    // Where the folder cannot be read, sampling says so.
    let replies = ask_every_program::<PurgeStats>(folder, Question::Purge).await.unwrap_or_default();
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

/// What is kept of an answer; none of one that does not say since when it runs, and so cannot be told from others.
fn sample(stats: Stats, after_purge: bool) -> Option<Sample> {
    started_ms(&stats)?;
    // In another namespace its number is another process's here.
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
        Ok(Err(error)) => tracing::warn!(%error, "no purge"),
        Err(error) => tracing::error!(%error, "no purge"),
    }
}
