//! Which run is due now, whether it was missed, and when the next one is. Runs that were started or skipped are settled.
//!
//! It has no clock and no timer. The caller passes the time, which may jump when the clock is set or the machine sleeps. It must
//! be called at least every two minutes, also while a job runs, or due runs count as missed.

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::calendar::Calendar;

/// A run that is noticed later than this was missed: the scheduler was not running, the machine was asleep, or its clock was set
/// forward.
const PUNCTUAL: SignedDuration = SignedDuration::from_mins(2);

/// If runs are settled further ahead than this, the clock was wrong before. Up to this, the clock was set back, and settled runs
/// are not repeated.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(25);

/// No more missed runs are counted.
const MAX_COUNTED: u32 = 1000;

/// Whether runs may be settled up to that time, or the clock was wrong.
fn is_plausible(settled: Timestamp, now: Timestamp) -> bool {
    settled.duration_since(now) <= MAX_AHEAD
}

/// The runs of a calendar, and up to when they are settled.
#[derive(Debug, Clone)]
pub struct Timetable {
    calendar: Calendar,
    catch_up: bool,
    settled: Timestamp,
    /// The first run that is not settled.
    first: Option<Timestamp>,
}

/// The result of [`Timetable::advance`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The due run, which is now settled: it is returned only once.
    pub due: Option<Due>,
    /// When the next run is due; `None` after the year 9999.
    pub next: Option<Timestamp>,
}

/// A due run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When it was due; the last one of several.
    pub at: Timestamp,
    /// How late it was noticed.
    pub late: Duration,
    /// What to do about it.
    pub what: Action,
    /// The number of earlier missed runs that this one settles too, up to 1000.
    pub further: u32,
}

/// What to do about a due run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start it.
    Start,
    /// It was missed; start it now.
    CatchUp,
    /// It was missed; skip it, because `schedule.catch_up` is off.
    Skip,
}

impl Action {
    /// Whether it is started.
    #[must_use]
    pub fn starts(self) -> bool {
        self != Self::Skip
    }

    /// Whether it was missed.
    #[must_use]
    pub fn is_missed(self) -> bool {
        self != Self::Start
    }
}

impl Timetable {
    /// A timetable whose runs are settled up to `settled`. The first start ever passes `None` and has missed nothing.
    #[must_use]
    pub fn new(calendar: Calendar, catch_up: bool, settled: Option<Timestamp>, now: Timestamp) -> Self {
        let settled = settled.unwrap_or(now);
        let mut it = Self { first: calendar.after(settled), calendar, catch_up, settled };
        it.reset_if_implausible(now);
        it
    }

    /// The calendar.
    #[must_use]
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Up to when runs are settled. Save this for the next start.
    #[must_use]
    pub fn settled(&self) -> Timestamp {
        self.settled
    }

    /// Settles and returns what is due at `now`, and when the next run is due.
    pub fn advance(&mut self, now: Timestamp) -> Advance {
        self.reset_if_implausible(now);
        let due = self.first.filter(|first| *first <= now).map(|first| self.settle(first, now));
        // `first` is now after `now`, even if the clock was set back, since settled runs are not repeated.
        Advance { due, next: self.first }
    }

    /// Adopts the saved time if it is later and plausible. For example, a machine may start in 1970 until its clock is
    /// synchronised, and the saved time is plausible only then.
    pub fn adopt(&mut self, kept: Timestamp, now: Timestamp) {
        if kept > self.settled && is_plausible(kept, now) {
            self.settle_until(kept);
        }
    }

    fn reset_if_implausible(&mut self, now: Timestamp) {
        if !is_plausible(self.settled, now) {
            tracing::warn!(settled = %self.settled, %now, "runs are settled far into the future, so the clock was wrong; starting from now");
            self.settle_until(now);
        }
    }

    /// Settles all due runs, of which `first` is the first.
    fn settle(&mut self, first: Timestamp, now: Timestamp) -> Due {
        let (at, further) = self.last_due(first, now);
        self.settle_until(at);
        let late = now.duration_since(at);
        let what = match (late > PUNCTUAL, self.catch_up) {
            (false, _) => Action::Start,
            (true, true) => Action::CatchUp,
            (true, false) => Action::Skip,
        };
        Due { at, late: late.unsigned_abs(), what, further }
    }

    fn settle_until(&mut self, at: Timestamp) {
        self.settled = at;
        self.first = self.calendar.after(at);
    }

    /// The last due run, and how many come before it.
    fn last_due(&self, first: Timestamp, now: Timestamp) -> (Timestamp, u32) {
        let due_after = |instant| self.calendar.after(instant).filter(|due| *due <= now);
        let mut last = first;
        for further in 0..MAX_COUNTED {
            match due_after(last) {
                Some(next) => last = next,
                None => return (last, further),
            }
        }
        // Too many to step through, so a binary search finds the last one. Runs are due at whole seconds.
        let (mut before, mut until) = (last.as_second(), now.as_second());
        while before < until {
            let middle = before + (until - before) / 2;
            match Timestamp::from_second(middle).ok().and_then(due_after) {
                Some(due) => (last, before) = (due, due.as_second()),
                None => until = middle,
            }
        }
        (last, MAX_COUNTED)
    }
}
