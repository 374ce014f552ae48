//! Jobs requested by the trigger file.

use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use crate::job::{Job, Reason};
use crate::trigger::{Found, Request};

/// How long the trigger file must stay unchanged before it is taken.
const SETTLING: Duration = Duration::from_millis(300);

impl Request {
    fn job(self) -> Job {
        match self {
            Self::All => Job::Refresh(Reason::Trigger),
            Self::Boards => Job::Boards,
        }
    }
}

impl Engine<'_> {
    /// Checks the trigger file soon, because something changed in the cache folder.
    pub(super) fn check_trigger_soon(&mut self) {
        self.check_trigger_at = self.check_trigger_at.min(Instant::now() + SETTLING);
    }

    /// Drops the requested job if an operator has removed the taken trigger file.
    pub(super) fn forget_removed_trigger(&mut self) {
        let Some(request) = self.request else { return };
        if !self.trigger.was_removed() {
            return;
        }
        tracing::info!(path = %self.trigger.taken_path().display(), "the taken trigger file was removed; dropping its job");
        self.request = None;
        // A due refresh stays.
        if request == Request::Boards || self.pending.is_none() {
            self.agenda.drop(request.job());
        }
    }

    /// Takes the trigger file, if no job or command is running and none of an earlier trigger file is unfinished.
    pub(super) fn check_trigger(&mut self) {
        let now = Instant::now();
        if now < self.check_trigger_at {
            return;
        }
        self.check_trigger_at = now + self.config.schedule.trigger_poll;
        self.folder_watch.renew();
        if self.child.is_some() || self.request.is_some() {
            return;
        }
        match self.trigger.check() {
            Ok(found) => {
                self.trigger_file.succeeded();
                match found {
                    Found::Nothing => {}
                    Found::Settling => self.check_trigger_at = now + SETTLING,
                    Found::Taken(request) => {
                        let job = request.job();
                        tracing::info!(%job, "took the trigger file");
                        self.request = Some(request);
                        self.agenda.add(job, now);
                    }
                }
            }
            Err(error) => self.trigger_file.failed(&error),
        }
    }

    /// Removes the taken trigger file when its job is finished.
    pub(super) fn trigger_over(&mut self, job: Job) {
        // A due refresh also does what a trigger file requests.
        if !self.request.is_some_and(|request| request.job().is_like(job)) {
            return;
        }
        self.request = None;
        match self.trigger.finish() {
            Ok(false) => {}
            Ok(true) => tracing::info!("the trigger file was written to during its job; reading it again"),
            Err(error) => self.trigger_file.failed(&error),
        }
    }
}
