//! What is due by the clock, and saving that.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::work::Work;
use super::{Engine, now};
use crate::agenda::Attempt;
use crate::job::{Job, Reason};
use crate::saved_state::{self, Pending, SavedState};
use crate::timetable::{Advance, Due};

impl Engine<'_> {
    /// Starts or skips what is due, and saves that.
    pub(super) fn check_clock(&mut self) {
        let now = now(self.context.clock);
        if let Some(saved) = self.saved {
            self.timetable.adopt(saved.settled_at, now);
        }
        let Advance { due, next } = self.timetable.advance(now);
        self.next = next;
        if let Some(due) = &due {
            self.due(due, now);
        }
        // A clock that was set back changes nothing, unless a run is due.
        let kept = self.saved.filter(|_| due.is_none()).map_or(Timestamp::MIN, |saved| saved.settled_at);
        self.save(kept);
    }

    /// Saves up to when runs are settled (at least `kept`), and the pending refresh.
    pub(super) fn save(&mut self, kept: Timestamp) {
        let state = SavedState { settled_at: self.timetable.settled().max(kept), pending: self.pending };
        if self.saved == Some(state) {
            return;
        }
        match saved_state::save(&self.config.cache.staging_dir, state) {
            Ok(()) => {
                self.saved = Some(state);
                self.saving.succeeded();
            }
            Err(error) => self.saving.failed(&error),
        }
    }

    fn due(&mut self, due: &Due, now: Timestamp) {
        let Due { at, late, what, further } = *due;
        let late = humantime::format_duration(Duration::from_secs(late.as_secs()));
        if !what.starts() {
            tracing::warn!(%at, %late, further, "a run was missed; skipping it (schedule.catch_up is off)");
            return;
        }
        let reason = if what.is_missed() { Reason::Missed } else { Reason::Due };
        if what.is_missed() {
            tracing::warn!(%at, %late, further, "a run was missed; catching up");
        }
        if let (Some(Pending { due_at, .. }), Some(failed)) =
            (self.pending, self.agenda.waiting(Job::Refresh(reason)).filter(|it| it.number > 1))
        {
            tracing::warn!(%due_at, attempts = failed.number - 1, next = %at, "no longer retrying the refresh: the next one is due");
        }
        let job = self.child.as_ref().and_then(|(work, running)| Some((work.attempt()?, running.pid())));
        let running = job.map(|(Attempt { job, number, .. }, pid)| (job, number, pid));
        let waits = self.agenda.due(reason, running.map(|it| it.0), Instant::now());
        if let Some((job, _, pid)) = running {
            let (job, pid) = (job.phase(), pid.as_raw());
            if waits {
                tracing::info!(%at, job, pid, "a due refresh waits for the running job");
            } else {
                tracing::info!(%at, job, pid, "a due refresh is covered by the running full refresh");
            }
        }
        if let Some((Work::Job { attempt, .. }, _)) = self.child.as_mut().filter(|_| !waits) {
            attempt.forget_faults();
        }
        let attempt = running.filter(|_| !waits).map_or(1, |it| it.1);
        self.pending = Some(Pending { due_at: at, attempt, not_before: Some(now) });
    }
}
