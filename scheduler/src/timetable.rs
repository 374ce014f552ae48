//! The ledger of what is settled: which run is due now, whether it was missed, and when the next one is.
//!
//! It has no clock and no timer: it is asked again and again what is due by a clock that may be set, or stand still while the
//! machine sleeps. So nothing is concluded from how often it is asked; but it has to be asked within two minutes, also while
//! a job runs, or what became due meanwhile counts as missed.

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::calendar::Calendar;

/// A run that is noticed later than this was missed: the program was not running, the machine asleep, or its clock was set
/// forward.
const PUNCTUAL: SignedDuration = SignedDuration::from_mins(2);

/// Who says that runs are settled so far into the future had a wrong clock. Within that, a clock was set back by up to a
/// day after a run, which is not repeated.
const BELIEVED_AHEAD: SignedDuration = SignedDuration::from_hours(25);

/// So many missed runs are counted; of more it is only known that there are more.
const MOST_COUNTED: u32 = 1000;

/// Whether a clock that says it is now may have said before that runs are settled up to then.
fn is_believed(settled: Timestamp, now: Timestamp) -> bool {
    settled.duration_since(now) <= BELIEVED_AHEAD
}

/// What is settled, by a calendar.
#[derive(Debug, Clone)]
pub struct Timetable {
    calendar: Calendar,
    catch_up: bool,
    settled: Timestamp,
    /// The first run after what is settled.
    first: Option<Timestamp>,
}

/// What is found when the timetable is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What is due. It is settled from now on: it is told once, and to be started at once unless it is to be skipped.
    pub due: Option<Due>,
    /// When the next run is due, later than now; none after the year 9999.
    pub next: Option<Timestamp>,
}

/// A run that is due, and what is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When it was due: of several runs, the last one.
    pub at: Timestamp,
    /// How late that was noticed.
    pub late: Duration,
    /// Whether it is to be started.
    pub what: What,
    /// So many runs that were due before it and were missed are settled with it: one run does the work of all. At most 1000
    /// are counted.
    pub further: u32,
}

/// What is to be done about a run that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is started in time.
    Start,
    /// It was missed, and is started to make up for that.
    MakeUp,
    /// It was missed, and stays so: `schedule.catch_up` is off.
    Skip,
}

impl What {
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
    /// A timetable of which all runs up to `settled` have been started or skipped. At the first start ever there is no such
    /// time, and nothing is missed: then, as always, [`Timetable::settled`] is to be kept from the beginning.
    #[must_use]
    pub fn new(calendar: Calendar, catch_up: bool, settled: Option<Timestamp>, now: Timestamp) -> Self {
        let settled = settled.unwrap_or(now);
        let mut it = Self { first: calendar.after(settled), calendar, catch_up, settled };
        it.disbelieve_far_future(now);
        it
    }

    /// The calendar.
    #[must_use]
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Up to when all runs that were due have been started or skipped: what to keep for the next start.
    #[must_use]
    pub fn settled(&self) -> Timestamp {
        self.settled
    }

    /// What is due at `now`, which is settled by that, and when the next run is due.
    pub fn look(&mut self, now: Timestamp) -> Look {
        self.disbelieve_far_future(now);
        let due = self.first.filter(|first| *first <= now).map(|first| self.settle(first, now));
        // The first after what is settled is now later than now, also where what is settled is later: where the clock was
        // set back, what is due again was done.
        Look { due, next: self.first }
    }

    /// Goes by what was kept where that is further and the clock allows it. Runs are settled further than a clock has come by a
    /// machine, for example, that begins in 1970 until it has asked somebody.
    pub fn believe_again(&mut self, kept: Timestamp, now: Timestamp) {
        if kept > self.settled && is_believed(kept, now) {
            self.settle_until(kept);
        }
    }

    fn disbelieve_far_future(&mut self, now: Timestamp) {
        if !is_believed(self.settled, now) {
            tracing::warn!(settled = %self.settled, %now, "runs are settled far into the future: the clock was wrong, begun anew");
            self.settle_until(now);
        }
    }

    /// Settles all runs from `first`, which is due, to the last one that is.
    fn settle(&mut self, first: Timestamp, now: Timestamp) -> Due {
        let (at, further) = self.last_due(first, now);
        self.settle_until(at);
        let late = now.duration_since(at);
        let what = match (late > PUNCTUAL, self.catch_up) {
            (false, _) => What::Start,
            (true, true) => What::MakeUp,
            (true, false) => What::Skip,
        };
        Due { at, late: late.unsigned_abs(), what, further }
    }

    fn settle_until(&mut self, at: Timestamp) {
        self.settled = at;
        self.first = self.calendar.after(at);
    }

    /// The last run until `now`, and how many there are from `first` to the one before it.
    fn last_due(&self, first: Timestamp, now: Timestamp) -> (Timestamp, u32) {
        let due_after = |instant| self.calendar.after(instant).filter(|due| *due <= now);
        let mut last = first;
        for further in 0..MOST_COUNTED {
            match due_after(last) {
                Some(next) => last = next,
                None => return (last, further),
            }
        }
        // Too many to go through: the last instant after which there is a run is found by halving. Runs are due at whole
        // seconds, and each that is found is later than half of what was left.
        let (mut before, mut until) = (last.as_second(), now.as_second());
        while before < until {
            let middle = before + (until - before) / 2;
            match Timestamp::from_second(middle).ok().and_then(due_after) {
                Some(due) => (last, before) = (due, due.as_second()),
                None => until = middle,
            }
        }
        (last, MOST_COUNTED)
    }
}
