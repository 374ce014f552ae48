//! The one job: starting it, having it end when it takes too long, and what follows from how it ended.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use r3e_common::runtime::memory;
use tokio::time::Instant;

use super::{Engine, now};
use crate::agenda::{Ending, Next, Try, describe};
use crate::child::Running;
use crate::job::Job;
use crate::settled;

/// Waits for the end of the job; for ever where there is none.
pub(super) async fn ended(job: &mut Option<(Try, Running)>) -> io::Result<ExitStatus> {
    match job {
        Some((_, running)) => running.wait().await,
        None => std::future::pending().await,
    }
}

impl Engine<'_> {
    /// Starts what is to be started, if nothing is at work.
    pub(super) fn start_next(&mut self) {
        while self.job.is_none() && !self.context.shutdown.token().is_cancelled() {
            self.forget_removed_trigger();
            let Some(tried) = self.agenda.start(Instant::now()) else { return };
            let Try { job, attempt, .. } = tried;
            let due_since = self.due_since().filter(|_| matches!(job, Job::Refresh(_)));
            let command = self.programs.command(job, &self.config, &self.trigger.taken(), due_since);
            let (group, tasks) = (self.context.group, self.context.tasks);
            match Running::start(command, job.program(), self.config.log.format, group, tasks) {
                Ok(running) => {
                    tracing::info!(program = job.program(), pid = running.pid().as_raw(), attempt, "starting a {job}");
                    self.job = Some((tried, running));
                }
                Err(error) => {
                    tracing::error!(program = job.program(), attempt, %error, "cannot start a {job}");
                    self.settle(tried, Ending::of_start(&error));
                }
            }
        }
    }

    /// How long ago the refresh was due that is not over.
    fn due_since(&self) -> Option<Duration> {
        let due_at = self.pending?.due_at;
        // None by a clock that was set back: then all that was at work counts.
        Duration::try_from(now(self.context.clock).duration_since(due_at)).ok()
    }

    /// The job has ended by itself, or because it was pressed to.
    pub(super) async fn ended(&mut self, status: io::Result<ExitStatus>) {
        let Some((tried, running)) = self.job.take() else { return };
        let timed_out = running.was_pressed();
        let seconds = running.begun().elapsed().as_secs_f64();
        let pid = running.pid().as_raw();
        running.close().await;
        let (ending, how) = match status {
            Ok(status) => (Ending::of(status, timed_out), describe(status)),
            Err(error) => (Ending::Fault, format!("how it ended cannot be told: {error}")),
        };
        let Try { job, attempt, .. } = tried;
        if ending == Ending::Done {
            tracing::info!(pid, seconds, "the {job} has ended: {how}");
        } else {
            tracing::error!(pid, seconds, attempt, "the {job} has ended: {how}");
        }
        self.settle(tried, ending);
        memory::give_back();
    }

    /// Draws the consequences of how a try has ended.
    fn settle(&mut self, tried: Try, ending: Ending) {
        let (job, attempt) = (tried.job, tried.attempt);
        // What was asked for meanwhile was kept.
        self.look_at = Instant::now();
        let next = self.agenda.ended(tried, ending, Instant::now(), fastrand::f64());
        let not_before = match next {
            Next::Again(pause) => {
                let pause = Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
                let not_before = now(self.context.clock).checked_add(pause).ok();
                let (pause, attempt, to_drop) = (humantime::format_duration(pause), attempt + 1, self.to_drop(job));
                tracing::info!(%pause, attempt, to_drop, "the {job} is tried again");
                not_before
            }
            Next::AtReload => {
                let to_drop = self.to_drop(job);
                tracing::error!(
                    to_drop,
                    "the {job} is not tried again until the configuration is read again, by SIGHUP or a start"
                );
                None
            }
            Next::Superseded => {
                tracing::info!("the {job} is not tried again: a job that does its work waits");
                return;
            }
            Next::GivenUp | Next::Over => {
                if next == Next::GivenUp {
                    tracing::error!(attempts = attempt, "the {job} is given up");
                } else if ending == Ending::Hopeless {
                    tracing::error!("the {job} is not tried again: it would end the same way");
                }
                self.over(job);
                return;
            }
        };
        if let Some(pending) = self.pending.as_mut().filter(|_| matches!(job, Job::Refresh(_))) {
            (pending.attempt, pending.not_before) = (attempt + 1, not_before);
        }
    }

    /// How an operator drops a job that waits to be tried again.
    fn to_drop(&self, job: Job) -> String {
        let (taken, settled) = (self.trigger.taken(), settled::path(&self.config.cache.staging_dir));
        let due = "stop the scheduler and remove";
        match job {
            Job::Load => "set schedule.load_at_start = false and send SIGHUP".to_owned(),
            Job::Refresh(_) if self.pending.is_some() => format!("{due} {}", settled.display()),
            Job::Refresh(_) | Job::Boards => format!("remove {}", taken.display()),
        }
    }

    /// A job is over for good, and so is what asked for it.
    fn over(&mut self, job: Job) {
        if matches!(job, Job::Refresh(_)) {
            self.pending = None;
        }
        self.trigger_over(job);
    }

    /// Has a job that takes too long end: first asked to, then killed.
    pub(super) fn press_job(&mut self) {
        let (timeout, grace) = (self.config.schedule.job_timeout, self.config.runtime.stop_grace);
        let Some((Try { job, .. }, running)) = &mut self.job else { return };
        if running.deadline(timeout).is_none_or(|it| it > Instant::now()) {
            return;
        }
        let pid = running.pid().as_raw();
        if running.was_pressed() {
            tracing::error!(pid, "the {job} has not stopped in time: it is killed");
        } else {
            let timeout = humantime::format_duration(timeout);
            tracing::error!(pid, job_timeout = %timeout, "the {job} takes too long: it is stopped");
        }
        running.press(grace);
    }

    /// Ends the job, if one is at work: asked with the signal that asked us, killed when its time is over.
    pub(super) async fn stop(&mut self) {
        let Some((Try { job, .. }, mut running)) = self.job.take() else { return };
        self.context.facts.set_phase("stopping");
        self.context.supervisor.stopping(&format!("stopping the {job}"));
        let signal = self.context.shutdown.signal().and_then(|it| Signal::try_from(it).ok()).unwrap_or(Signal::SIGTERM);
        let force = self.context.shutdown.force().cancelled();
        let ended = running.end(signal, self.config.runtime.stop_grace, force).await;
        let pid = running.pid().as_raw();
        running.close().await;
        match ended {
            Some(Ok(status)) => {
                tracing::info!(pid, "the {job} has ended: {}", describe(status));
                // It was done all the same: the next start does not repeat it.
                if Ending::of(status, false) == Ending::Done {
                    self.over(job);
                }
            }
            Some(Err(error)) => tracing::error!(pid, %error, "how the {job} ended cannot be told"),
            None => tracing::error!(pid, "the {job} was killed, and the kernel has not ended it yet"),
        }
    }
}
