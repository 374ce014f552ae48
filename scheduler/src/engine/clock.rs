//! What is due by the clock.

use std::time::Duration;

use super::{Engine, now};
use crate::agenda::Start;
use crate::job::Why;
use crate::settled;
use crate::timetable::{Due, Look};

impl Engine<'_> {
    /// Asks for what is due, or says why not, and keeps what is settled by that.
    pub(super) fn look_at_clock(&mut self) {
        let now = now(self.around.clock);
        if let Some(saved) = self.saved {
            self.timetable.believe_again(saved, now);
        }
        let Look { due, next } = self.timetable.look(now);
        self.next = next;
        let is_due = due.is_some();
        if let Some(due) = due {
            self.due(&due);
        }
        let settled = self.timetable.settled();
        if self.saved == Some(settled) || (!is_due && self.saved.is_some_and(|saved| saved > settled)) {
            return;
        }
        match settled::save(&self.config.cache.staging_dir, settled) {
            Ok(()) => {
                self.saved = Some(settled);
                self.saving.over();
            }
            Err(error) => self.saving.say("a scheduler that is started anew may not know of a run", &error),
        }
    }

    fn due(&mut self, due: &Due) {
        let Due { at, late, what, further } = *due;
        let late = humantime::format_duration(Duration::from_secs(late.as_secs()));
        if !what.starts() {
            tracing::warn!(%at, %late, further, "a run was missed, and is not made up for: schedule.catch_up is off");
            return;
        }
        let why = if what.is_missed() { Why::Missed } else { Why::Due };
        if !self.agenda.due(why, self.job.is_some()) {
            let doing = self.job.as_ref().map_or_else(String::new, |(Start { job, .. }, _)| job.to_string());
            tracing::warn!(%at, %late, skipped = self.agenda.counts.skipped, "a run is skipped: a {doing} is at work");
        } else if what.is_missed() {
            tracing::warn!(%at, %late, further, "a run was missed: it is made up for");
        }
    }
}
