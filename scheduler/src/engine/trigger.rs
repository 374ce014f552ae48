//! What the trigger file asks for.

use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use crate::job::{Job, Why};
use crate::trigger::{Found, Wanted};

/// How long a trigger file has to stay the same before it is taken.
const SETTLING: Duration = Duration::from_millis(300);

impl Wanted {
    fn job(self) -> Job {
        match self {
            Self::Everything => Job::Refresh(Why::Trigger),
            Self::Boards => Job::Boards,
        }
    }
}

impl Engine<'_> {
    /// Something has happened in the cache's folder.
    pub(super) fn look_soon(&mut self) {
        self.look_at = self.look_at.min(Instant::now() + SETTLING);
    }

    /// Whether what a trigger file asked for is waiting to be started.
    pub(super) fn waits_for_wanted(&self) -> bool {
        self.wanted.is_some_and(|wanted| self.agenda.has(wanted.job()))
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
                self.looking.over();
                match found {
                    Found::Nothing => {}
                    Found::Settling => self.look_at = now + SETTLING,
                    Found::Taken(wanted) => {
                        let job = wanted.job();
                        tracing::info!("the trigger file is taken: a {job}");
                        self.wanted = Some(wanted);
                        self.agenda.ask(job);
                    }
                }
            }
            Err(error) => self.looking.say("the trigger file", &error),
        }
    }

    /// A job is over for good; if it was what a trigger file asked for, so is that.
    pub(super) fn over(&mut self, job: Job) {
        // A refresh of everything that was due does what a trigger asked for, too.
        if !self.wanted.is_some_and(|wanted| wanted.job().is_like(job)) {
            return;
        }
        self.wanted = None;
        match self.trigger.done() {
            Ok(false) => {}
            Ok(true) => tracing::info!("the trigger file was written to meanwhile: it is looked at again"),
            Err(error) => self.looking.say("the trigger file", &error),
        }
    }
}
