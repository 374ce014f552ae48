//! The job or command: starting it, stopping it if it takes too long, and what follows when it ends.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use r3e_common::runtime::memory;
use tokio::time::Instant;

use super::after::{Ended, Stopped};
use super::work::{Publication, Work};
use super::{Engine, now};
use crate::agenda::{Attempt, Next, Outcome, describe_job};
use crate::child::Running;
use crate::job::Job;
use crate::saved_state;

/// Waits for the end of the child; forever if there is none.
pub(super) async fn ended(child: &mut Option<(Work, Running)>) -> io::Result<ExitStatus> {
    match child {
        Some((_, running)) => running.wait().await,
        None => std::future::pending().await,
    }
}

impl Engine<'_> {
    /// Starts the next command, or else the next job, if none is running.
    pub(super) fn start_next(&mut self) {
        while self.child.is_none() && !self.context.shutdown.token().is_cancelled() {
            if let Some(command) = self.commands.pop_front() {
                self.start_command(command);
                continue;
            }
            self.forget_removed_trigger();
            let Some(attempt) = self.agenda.start(Instant::now()) else { return };
            let Attempt { job, number, .. } = attempt;
            let due_since = self.due_since().filter(|_| matches!(job, Job::Refresh(_)));
            let command = self.programs.command(job, &self.config, &self.trigger.taken_path(), due_since);
            // An error is reported when the job has ended.
            let published = Publication::last(&self.config.cache.dir).unwrap_or_default();
            let shared = (self.context.group, self.context.tasks);
            match Running::start(command, job.program(), None, self.config.log.format, shared) {
                Ok(running) => {
                    tracing::info!(%job, program = job.program(), pid = running.pid().as_raw(), attempt = number, "job started");
                    self.child = Some((Work::Job { attempt, published }, running));
                }
                Err(error) => {
                    tracing::error!(%job, program = job.program(), attempt = number, %error, "cannot start the job");
                    self.settle(attempt, Outcome::of_start(&error));
                }
            }
        }
    }

    /// How long ago the pending refresh was due.
    fn due_since(&self) -> Option<Duration> {
        let due_at = self.pending?.due_at;
        // `None` if the clock was set back: then any earlier refresh may be resumed.
        Duration::try_from(now(self.context.clock).duration_since(due_at)).ok()
    }

    /// Handles the end of the job or command.
    pub(super) async fn ended(&mut self, status: io::Result<ExitStatus>) {
        let Some((work, running)) = self.child.take() else { return };
        let timed_out = running.was_asked_to_stop();
        let (pid, took) = (running.pid(), running.begun().elapsed());
        running.close().await;
        match work {
            Work::Job { attempt, published } => {
                self.job_ended(attempt, status, timed_out, (pid, took));
                self.queue_commands(published.as_ref());
            }
            Work::Command { command, started } => {
                let stopped = timed_out.then_some(Stopped::TimedOut);
                self.command_ended(&command, started, Ended { pid, took, status, stopped });
            }
        }
        memory::purge_or_log();
    }

    fn job_ended(
        &mut self,
        attempt: Attempt,
        status: io::Result<ExitStatus>,
        timed_out: bool,
        (pid, took): (Pid, Duration),
    ) {
        let (pid, seconds) = (pid.as_raw(), took.as_secs_f64());
        let (outcome, result) = match status {
            Ok(status) => (Outcome::of(status, timed_out), describe_job(status)),
            Err(error) => (Outcome::Fault, format!("unknown: {error}")),
        };
        let Attempt { job, number, .. } = attempt;
        if outcome == Outcome::Done {
            tracing::info!(%job, %result, pid, seconds, "job ended");
        } else {
            tracing::error!(%job, %result, pid, seconds, attempt = number, "job ended");
        }
        self.settle(attempt, outcome);
    }

    /// Decides what follows when an attempt has ended.
    fn settle(&mut self, attempt: Attempt, outcome: Outcome) {
        let Attempt { job, number, .. } = attempt;
        // A trigger file may have been written during the job.
        self.check_trigger_at = Instant::now();
        let next = self.agenda.ended(attempt, outcome, Instant::now(), fastrand::f64());
        let not_before = match next {
            Next::Retry(pause) => {
                let pause = Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
                let not_before = now(self.context.clock).checked_add(pause).ok();
                let (pause, to_drop) = (humantime::format_duration(pause), self.to_drop(job));
                tracing::info!(%job, %pause, attempt = number + 1, to_drop, "retrying the job");
                not_before
            }
            Next::RetryAtReload => {
                let to_drop = self.to_drop(job);
                tracing::error!(%job, to_drop, "retrying the job when the configuration is reloaded (SIGHUP or restart)");
                None
            }
            Next::Superseded => {
                tracing::info!(%job, "not retrying the job: a waiting job does its work");
                return;
            }
            Next::GiveUp | Next::Finished => {
                if next == Next::GiveUp {
                    tracing::error!(%job, attempts = number, "giving up on the job");
                } else if outcome == Outcome::Invalid {
                    tracing::error!(%job, "not retrying the job: it would fail the same way");
                }
                self.over(job);
                return;
            }
        };
        if let Some(pending) = self.pending.as_mut().filter(|_| matches!(job, Job::Refresh(_))) {
            (pending.attempt, pending.not_before) = (number + 1, not_before);
        }
    }

    /// How an operator can drop a job that waits for a retry.
    fn to_drop(&self, job: Job) -> String {
        let (taken, state) = (self.trigger.taken_path(), saved_state::path(&self.config.cache.staging_dir));
        match job {
            Job::Load => "set schedule.load_at_start = false and send SIGHUP".to_owned(),
            Job::Refresh(_) if self.pending.is_some() => format!("stop the scheduler and remove {}", state.display()),
            Job::Refresh(_) | Job::Boards => format!("remove {}", taken.display()),
        }
    }

    /// Finishes a job for good, with its request.
    fn over(&mut self, job: Job) {
        if matches!(job, Job::Refresh(_)) {
            self.pending = None;
        }
        self.trigger_over(job);
    }

    /// Stops a job or command that takes too long: first asks it, then kills it.
    pub(super) fn stop_overdue_child(&mut self) {
        let (timeout, grace) = (self.config.schedule.job_timeout, self.config.runtime.stop_grace);
        let Some((job, running)) = &mut self.child else { return };
        if running.deadline(timeout).is_none_or(|it| it > Instant::now()) {
            return;
        }
        let pid = running.pid().as_raw();
        if running.was_asked_to_stop() {
            tracing::error!(%job, pid, "the job did not stop in time; killing it");
        } else {
            let timeout = humantime::format_duration(timeout);
            tracing::error!(%job, pid, job_timeout = %timeout, "the job takes too long; stopping it");
        }
        running.escalate(grace);
    }

    /// Stops the job or command, if one is running, with the signal that stopped the scheduler; kills it after `runtime.stop_grace`.
    pub(super) async fn stop(&mut self) {
        let Some((work, mut running)) = self.child.take() else { return };
        self.context.facts.set_phase("stopping");
        self.context.supervisor.stopping(&format!("stopping the {work}"));
        let signal = self.context.shutdown.signal().and_then(|it| Signal::try_from(it).ok()).unwrap_or(Signal::SIGTERM);
        let force = self.context.shutdown.force().cancelled();
        let ended = running.end(signal, self.config.runtime.stop_grace, force).await;
        let (pid, took) = (running.pid(), running.begun().elapsed());
        running.close().await;
        match (work, ended) {
            (work, None) => {
                tracing::error!(job = %work, pid = pid.as_raw(), "the job was killed, but has not ended yet");
            }
            (Work::Command { command, started }, Some(status)) => {
                self.command_ended(
                    &command,
                    started,
                    Ended { pid, took, status, stopped: Some(Stopped::WithScheduler) },
                );
            }
            (Work::Job { attempt: Attempt { job, .. }, published }, Some(Ok(status))) => {
                tracing::info!(%job, result = describe_job(status), pid = pid.as_raw(), "job ended");
                // It succeeded, so the next start does not repeat it.
                if Outcome::of(status, false) == Outcome::Done {
                    self.over(job);
                }
                self.queue_commands(published.as_ref());
            }
            (work, Some(Err(error))) => {
                tracing::error!(job = %work, pid = pid.as_raw(), %error, "job ended with an unknown result");
            }
        }
        if !self.commands.is_empty() {
            let commands: Vec<String> = self.commands.drain(..).map(|it| it.to_string()).collect();
            tracing::warn!(?commands, "stopping; these commands do not run for the last publication");
        }
    }
}
