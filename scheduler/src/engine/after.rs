//! The commands of `schedule.after`: they run in order once a job has published something, before the next job.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};

use nix::unistd::Pid;
use r3e_common::runtime::exit::Exit;
use r3e_common::runtime::pid_namespace::pid_namespace;
use r3e_common::runtime::run_record::RunRecord;
use r3e_common::runtime::timestamp;
use serde_json::Map;
use tokio::time::Instant;

use super::work::{Command, Publication, Work};
use super::{Context, Engine};
use crate::agenda::describe;
use crate::child::Running;
use crate::guard;

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) pid: Pid,
    pub(super) took: Duration,
    pub(super) status: io::Result<ExitStatus>,
    /// Why the scheduler asked it to stop, if it did.
    pub(super) stopped: Option<Stopped>,
}

/// Why the scheduler stopped a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It took longer than `schedule.job_timeout`.
    TimedOut,
    /// The scheduler itself stops.
    WithScheduler,
}

impl Engine<'_> {
    /// Queues the commands after a job, if it published something since `before`.
    pub(super) fn queue_commands(&mut self, before: Option<&Publication>) {
        let after = &self.config.schedule.after;
        if after.is_empty() {
            return;
        }
        match Publication::last(&self.config.cache.dir) {
            Ok(Some(last)) if Some(&last) != before => {
                let command =
                    |words: &Vec<String>| Command { words: words.clone(), generation: last.generation.clone() };
                self.commands = after.iter().map(command).collect();
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "cannot determine what the job published; running no commands"),
        }
    }

    /// Starts a command.
    pub(super) fn start_command(&mut self, command: Command) {
        let Context { group, tasks, clock, .. } = self.context;
        let started = clock();
        let child = self.programs.after(&command.words, &command.generation, &self.config);
        let format = self.config.log.format;
        let running = guard::start()
            .and_then(|guard| Running::start(child, command.program(), Some(guard), format, (group, tasks)));
        match running {
            Ok(running) => {
                let pid = running.pid().as_raw();
                tracing::info!(%command, pid, generation = command.generation, "command started");
                self.child = Some((Work::Command { command, started }, running));
            }
            Err(error) => {
                tracing::error!(%command, %error, "cannot start the command");
                self.agenda.counts.commands_failed += 1;
            }
        }
    }

    /// Handles the end of a command. Its failure changes nothing for the job.
    pub(super) fn command_ended(&mut self, command: &Command, started: SystemTime, ended: Ended) {
        let Ended { pid, took, status, stopped } = ended;
        let result = match &status {
            Ok(status) => describe(*status),
            Err(error) => format!("unknown: {error}"),
        };
        let succeeded = status.as_ref().is_ok_and(ExitStatus::success) && stopped != Some(Stopped::TimedOut);
        let failed = !succeeded && stopped != Some(Stopped::WithScheduler);
        let (pid, seconds) = (pid.as_raw(), took.as_secs_f64());
        if failed {
            tracing::error!(%command, result, pid, seconds, "command failed");
            self.agenda.counts.commands_failed += 1;
        } else {
            tracing::info!(%command, result, pid, seconds, "command ended");
        }
        let outcome = match stopped {
            _ if succeeded => "done",
            Some(Stopped::TimedOut) => "timed out",
            Some(Stopped::WithScheduler) => "stopped",
            None => "failed",
        };
        let code = status.ok().and_then(|it| it.code().or(it.signal().map(|signal| 128 + signal)));
        let record = RunRecord {
            program: command.program().to_owned(),
            pid: pid.unsigned_abs(),
            pid_namespace: pid_namespace(),
            version: String::new(),
            doing: command.to_string(),
            started_at: timestamp(started),
            ended_at: timestamp(started.checked_add(took).unwrap_or(started)),
            seconds,
            outcome: outcome.to_owned(),
            exit_code: code.and_then(|it| u8::try_from(it).ok()).unwrap_or(Exit::Unexpected.code()),
            peak_rss_bytes: 0,
            rss_bytes: 0,
            allocated_bytes: 0,
            tasks: 0,
            threads: 0,
            open_fds: 0,
            connections: 0,
            boards: Map::new(),
        };
        if let Err(error) = record.write_unless_recorded(&self.config.runtime.dir) {
            tracing::warn!(%command, %error, "cannot write the record of the command");
        }
        // A trigger file may have been written during the command.
        self.check_trigger_at = Instant::now();
    }
}
