//! The one job: starting it, having it end when it takes too long, and what follows from how it ended.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use r3e_common::process::memory;
use tokio::time::Instant;

use super::Engine;
use crate::agenda::{Ending, Start, told};
use crate::child::Running;

/// Waits for the end of the job; for ever where there is none.
pub(super) async fn ended(job: &mut Option<(Start, Running)>) -> io::Result<ExitStatus> {
    match job {
        Some((_, running)) => running.wait().await,
        None => std::future::pending().await,
    }
}

impl Engine<'_> {
    /// Starts what is to be started, if nothing is at work.
    pub(super) fn start_next(&mut self) {
        while self.job.is_none() && !self.around.shutdown.token().is_cancelled() {
            let Some(start) = self.agenda.start(Instant::now()) else { return };
            let Start { job, attempt } = start;
            let command = self.programs.command(job, &self.config, &self.trigger.taken());
            let (group, tasks) = (self.around.group, self.around.tasks);
            match Running::start(command, job.program(), self.config.log.format, group, tasks) {
                Ok(running) => {
                    tracing::info!(program = job.program(), pid = running.pid(), attempt, "starting a {job}");
                    self.job = Some((start, running));
                }
                Err(error) => {
                    tracing::error!(program = job.program(), attempt, %error, "cannot start a {job}");
                    self.settle(start, Ending::Failed);
                }
            }
        }
    }

    /// The job has ended by itself, or because it was pressed to.
    pub(super) async fn ended(&mut self, status: io::Result<ExitStatus>) {
        let Some((start, running)) = self.job.take() else { return };
        let timed_out = running.was_pressed();
        let seconds = running.begun().elapsed().as_secs_f64();
        let pid = running.pid();
        running.close().await;
        let (ending, how) = match status {
            Ok(status) => (Ending::of(status, timed_out), told(status)),
            Err(error) => (Ending::Failed, format!("how it ended cannot be told: {error}")),
        };
        let (job, attempt) = (start.job, start.attempt);
        if ending == Ending::Done {
            tracing::info!(pid, seconds, "the {job} has ended: {how}");
        } else {
            tracing::error!(pid, seconds, attempt, "the {job} has ended: {how}");
        }
        self.settle(start, ending);
        memory::give_back();
    }

    /// Draws the consequences of how a job has ended.
    fn settle(&mut self, start: Start, ending: Ending) {
        let job = start.job;
        let again = self.agenda.ended(start, ending, Instant::now(), fastrand::f64());
        if let Some(pause) = again {
            let pause = Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
            let (pause, of) = (humantime::format_duration(pause), self.config.schedule.attempts);
            tracing::info!(%pause, attempt = start.attempt + 1, of, "the {job} is tried again");
        } else {
            match ending {
                Ending::Failed => tracing::error!(attempts = start.attempt, "the {job} is given up"),
                Ending::Hopeless => tracing::error!("the {job} is not tried again: it would end the same way"),
                Ending::Misconfigured => {
                    tracing::error!(
                        "the {job} is not tried again until the configuration is read again, by SIGHUP or a start"
                    );
                }
                Ending::Done | Ending::StoppedByOthers => {}
            }
            // What a wrong configuration kept from being done is still wanted.
            if ending != Ending::Misconfigured && !self.agenda.has(job) {
                self.over(job);
            }
        }
        // What was asked for meanwhile was kept.
        self.look_at = Instant::now();
    }

    /// Has a job that takes too long end: first asked to, then killed.
    pub(super) fn press_job(&mut self) {
        let (timeout, grace) = (self.config.schedule.job_timeout, self.config.runtime.stop_grace);
        let Some((Start { job, .. }, running)) = &mut self.job else { return };
        if running.deadline(timeout).is_none_or(|it| it > Instant::now()) {
            return;
        }
        let pid = running.pid();
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
        let Some((Start { job, .. }, mut running)) = self.job.take() else { return };
        self.around.supervisor.stopping(&format!("stopping the {job}"));
        let signal = self.around.shutdown.signal().and_then(|it| Signal::try_from(it).ok()).unwrap_or(Signal::SIGTERM);
        let haste = self.around.shutdown.haste().cancelled();
        let ended = running.end(signal, self.config.runtime.stop_grace, haste).await;
        let pid = running.pid();
        running.close().await;
        match ended {
            Some(Ok(status)) => tracing::info!(pid, "the {job} has ended: {}", told(status)),
            Some(Err(error)) => tracing::error!(pid, %error, "how the {job} ended cannot be told"),
            None => tracing::error!(pid, "the {job} was killed, and the kernel has not ended it yet"),
        }
    }
}
