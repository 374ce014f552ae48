//! Jobs requested by the trigger file.

use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use crate::job::{Job, Reason};
use crate::trigger::{Found, Wanted};

/// How long the trigger file must stay unchanged before it is taken.
const SETTLING: Duration = Duration::from_millis(300);

impl Wanted {
    fn job(self) -> Job {
        match self {
            Self::Everything => Job::Refresh(Reason::Trigger),
            Self::Boards => Job::Boards,
        }
    }
}

impl Engine<'_> {
    /// Checks the trigger file soon, because something changed in the cache folder.
    pub(super) fn check_trigger_soon(&mut self) {
        self.look_at = self.look_at.min(Instant::now() + SETTLING);
    }

    /// Drops the requested job if an operator has removed the taken trigger file.
    pub(super) fn forget_removed_trigger(&mut self) {
        let Some(wanted) = self.wanted else { return };
        if !self.trigger.was_removed() {
            return;
        }
        tracing::info!(path = %self.trigger.taken().display(), "the taken trigger file was removed; dropping its job");
        self.wanted = None;
        // A due refresh stays.
        if wanted == Wanted::Boards || self.pending.is_none() {
            self.agenda.drop(wanted.job());
        }
    }

    /// Takes the trigger file, if no job is running and none of an earlier trigger file is unfinished.
    pub(super) fn check_trigger(&mut self) {
        let now = Instant::now();
        if now < self.look_at {
            return;
        }
        self.look_at = now + self.config.schedule.trigger_poll;
        self.folder_watch.renew();
        if self.job.is_some() || self.wanted.is_some() {
            return;
        }
        match self.trigger.check() {
            Ok(found) => {
                self.trigger_file.succeeded();
                match found {
                    Found::Nothing => {}
                    Found::Settling => self.look_at = now + SETTLING,
                    Found::Taken(wanted) => {
                        let job = wanted.job();
                        tracing::info!(%job, "took the trigger file");
                        self.wanted = Some(wanted);
                        self.agenda.ask(job, now);
                    }
                }
            }
            Err(error) => self.trigger_file.failed(&error),
        }
    }

    /// Removes the taken trigger file when its job is finished.
    pub(super) fn trigger_over(&mut self, job: Job) {
        // A due refresh also does what a trigger file requests.
        if !self.wanted.is_some_and(|wanted| wanted.job().is_like(job)) {
            return;
        }
        self.wanted = None;
        match self.trigger.finish() {
            Ok(false) => {}
            Ok(true) => tracing::info!("the trigger file was written to during its job; reading it again"),
            Err(error) => self.trigger_file.failed(&error),
        }
    }
}
