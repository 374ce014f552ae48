//! What the trigger file asks for.

use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use crate::job::{Job, Reason};
use crate::trigger::{Found, Wanted};

/// How long a trigger file has to stay the same before it is taken.
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
    /// Something has happened in the cache's folder.
    pub(super) fn look_soon(&mut self) {
        self.look_at = self.look_at.min(Instant::now() + SETTLING);
    }

    /// Drops what a trigger file asks for that an operator has removed after it was taken.
    pub(super) fn forget_removed_trigger(&mut self) {
        let Some(wanted) = self.wanted else { return };
        if !self.trigger.was_removed() {
            return;
        }
        tracing::info!(path = %self.trigger.taken().display(), "the taken trigger file was removed: what it asked for is dropped");
        self.wanted = None;
        // A refresh that is due is still to be done.
        if wanted == Wanted::Boards || self.pending.is_none() {
            self.agenda.drop(wanted.job());
        }
    }

    /// Takes the trigger file, if there is one, no job is at work, and what an earlier one asked for is over.
    pub(super) fn look_at_trigger(&mut self) {
        let now = Instant::now();
        if now < self.look_at {
            return;
        }
        self.look_at = now + self.config.schedule.trigger_poll;
        self.notice.renew();
        if self.job.is_some() || self.wanted.is_some() {
            return;
        }
        match self.trigger.look() {
            Ok(found) => {
                self.trigger_file.succeeded();
                match found {
                    Found::Nothing => {}
                    Found::Settling => self.look_at = now + SETTLING,
                    Found::Taken(wanted) => {
                        let job = wanted.job();
                        tracing::info!("the trigger file is taken: a {job}");
                        self.wanted = Some(wanted);
                        self.agenda.ask(job, now);
                    }
                }
            }
            Err(error) => self.trigger_file.failed(&error),
        }
    }

    /// A job is over for good; if it was what a trigger file asked for, so is that.
    pub(super) fn trigger_over(&mut self, job: Job) {
        // A refresh of everything that was due does what a trigger asked for, too.
        if !self.wanted.is_some_and(|wanted| wanted.job().is_like(job)) {
            return;
        }
        self.wanted = None;
        match self.trigger.done() {
            Ok(false) => {}
            Ok(true) => tracing::info!("the trigger file was written to meanwhile: it is looked at again"),
            Err(error) => self.trigger_file.failed(&error),
        }
    }
}
