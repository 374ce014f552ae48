//! What is due by the clock, and what is remembered of it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Engine, now};
use crate::agenda::Try;
use crate::job::{Job, Reason};
use crate::settled::{self, Pending, Settled};
use crate::timetable::{Due, Look};

impl Engine<'_> {
    /// Asks for what is due, or logs why not, and keeps what is settled by that.
    pub(super) fn look_at_clock(&mut self) {
        let now = now(self.context.clock);
        if let Some(saved) = self.saved {
            self.timetable.believe_again(saved.at, now);
        }
        let Look { due, next } = self.timetable.look(now);
        self.next = next;
        if let Some(due) = &due {
            self.due(due, now);
        }
        // A clock that was set back unsettles nothing, unless a run is due by it.
        let kept = self.saved.filter(|_| due.is_none()).map_or(Timestamp::MIN, |saved| saved.at);
        self.save(kept);
    }

    /// Keeps what is settled, up to `kept` at least, and what is pending.
    pub(super) fn save(&mut self, kept: Timestamp) {
        let settled = Settled { at: self.timetable.settled().max(kept), pending: self.pending };
        if self.saved == Some(settled) {
            return;
        }
        match settled::save(&self.config.cache.staging_dir, settled) {
            Ok(()) => {
                self.saved = Some(settled);
                self.saving.succeeded();
            }
            Err(error) => self.saving.failed(&error),
        }
    }

    fn due(&mut self, due: &Due, now: Timestamp) {
        let Due { at, late, what, further } = *due;
        let late = humantime::format_duration(Duration::from_secs(late.as_secs()));
        if !what.starts() {
            tracing::warn!(%at, %late, further, "a run was missed, and is not made up for: schedule.catch_up is off");
            return;
        }
        let why = if what.is_missed() { Reason::Missed } else { Reason::Due };
        if what.is_missed() {
            tracing::warn!(%at, %late, further, "a run was missed: it is made up for");
        }
        if let (Some(Pending { due_at, .. }), Some(failed)) =
            (self.pending, self.agenda.waiting(Job::Refresh(why)).filter(|it| it.attempt > 1))
        {
            tracing::warn!(%due_at, attempts = failed.attempt - 1, next = %at, "a refresh that failed is not tried again: the next one is due");
        }
        let at_work = self.job.as_ref().map(|(Try { job, attempt, .. }, running)| (*job, *attempt, running.pid()));
        let waits = self.agenda.due(why, at_work.map(|it| it.0), Instant::now());
        if let Some((job, _, pid)) = at_work {
            let (job, pid) = (job.phase(), pid.as_raw());
            if waits {
                tracing::info!(%at, job, pid, "a due refresh waits for the job that is at work");
            } else {
                tracing::info!(%at, job, pid, "a full refresh that is at work does the work of a due one");
            }
        }
        if let Some((at_work, _)) = self.job.as_mut().filter(|_| !waits) {
            at_work.forget_faults();
        }
        let attempt = at_work.filter(|_| !waits).map_or(1, |it| it.1);
        self.pending = Some(Pending { due_at: at, attempt, not_before: Some(now) });
    }
}
