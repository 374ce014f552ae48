//! How a process reacts as it nears its memory limit: which step comes next. Pure: figures and times in, a step out.
//!
//! | used, of the limit | step |
//! | --- | --- |
//! | below 70 % for 10 s | double the boards in flight, up to the initial number |
//! | 75 % | purge; again on reaching a higher level, and while it stays up, after 5, 10, 20, … 60 s |
//! | 85 %, after a purge | halve the boards in flight, at most once a second, down to one |
//! | 95 %, after a purge | one board in flight; if that does not help within 2 s, an orderly stop |
//! | 100 %, after a purge, with one board in flight | an orderly stop |
//!
//! Between 70 and 75 % nothing changes, so that a process at the edge does not oscillate.
//!
//! A job goes by the worse of two figures: its own resident memory and what its control group holds. So it gives way to daemons in the
//! group. A daemon purges for the group but stops only for its own memory: stopping it would not help against a large job.

#[cfg(test)]
mod tests;

use std::time::Duration;

/// Below this percentage there is no pressure.
const CALM: u64 = 70;
/// How long there must be no pressure before more boards are allowed.
const CALM_FOR: Duration = Duration::from_secs(10);
/// The shortest and the longest pause between purges that did not help.
const PURGE_PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_mins(1)];
/// How long to wait for a running purge.
const PURGE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long boards in flight may take to finish before the number is reduced further.
const SETTLING: Duration = Duration::from_secs(1);
/// How long usage may stay critical.
const CRITICAL_FOR: Duration = Duration::from_secs(2);

/// How close usage is to the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Low,
    Elevated,
    High,
    Critical,
    Exceeded,
}

impl Level {
    fn of(percent: u64) -> Self {
        match percent {
            0..75 => Self::Low,
            75..85 => Self::Elevated,
            85..95 => Self::High,
            95..100 => Self::Critical,
            100.. => Self::Exceeded,
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    None,
    /// Return unused memory.
    Purge,
    /// Reduce the boards in flight to this number.
    FewerBoards(usize),
    /// Raise the boards in flight to this number.
    MoreBoards(usize),
    /// Stop in order, with exit code 75. Returned once.
    Stop,
}

/// The kind of process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Can be stopped and run again later.
    Job {
        /// The initial number of boards in flight.
        boards: usize,
    },
    /// Should keep running.
    Daemon,
}

impl Role {
    /// The initial number of boards in flight.
    #[must_use]
    pub fn boards(self) -> usize {
        match self {
            Self::Job { boards } => boards,
            Self::Daemon => 1,
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The time since the start.
    pub at: Duration,
    /// Resident memory of this process, in percent of its limit.
    pub own: u64,
    /// Memory of its control group, in percent of the group's limit; 0 if it has none.
    pub group: u64,
    /// Whether a purge is running.
    pub purging: bool,
}

/// Decides the next step, given one sample after another.
#[derive(Debug, Clone)]
pub struct PressurePolicy {
    role: Role,
    max_boards: usize,
    boards: usize,
    /// When the number of boards last changed.
    changed: Option<Duration>,
    /// The last purge since the pressure began.
    purged: Option<Purged>,
    calm_since: Option<Duration>,
    critical_since: Option<Duration>,
    stopping: bool,
}

#[derive(Debug, Clone, Copy)]
struct Purged {
    at: Duration,
    level: Level,
    next_after: Duration,
}

impl PressurePolicy {
    /// The policy of a process that has just started.
    #[must_use]
    pub fn new(role: Role) -> Self {
        let boards = role.boards();
        Self {
            role,
            max_boards: boards,
            boards,
            changed: None,
            purged: None,
            calm_since: None,
            critical_since: None,
            stopping: false,
        }
    }

    /// How many boards may be in flight.
    #[must_use]
    pub fn boards(&self) -> usize {
        self.boards
    }

    /// The step that follows from a sample. The policy assumes that it is carried out.
    pub fn step(&mut self, sample: Sample) -> Step {
        if self.stopping {
            return Step::None;
        }
        let percent = sample.own.max(sample.group);
        let level = match self.role {
            Role::Job { .. } => Level::of(percent),
            Role::Daemon => Level::of(sample.own).max(Level::of(sample.group).min(Level::Elevated)),
        };
        if level < Level::Critical {
            self.critical_since = None;
        }
        if percent < CALM {
            return self.recover(sample.at);
        }
        self.calm_since = None;
        // The effect of a purge shows only when it is over.
        let is_purging = sample.purging && self.purged.is_none_or(|it| sample.at < it.at + PURGE_TIMEOUT);
        if level == Level::Low || is_purging {
            return Step::None;
        }
        if let Some(next_after) = self.pause_if_due(sample.at, level) {
            self.purged = Some(Purged { at: sample.at, level, next_after });
            return Step::Purge;
        }
        self.escalate(sample.at, level)
    }

    fn recover(&mut self, at: Duration) -> Step {
        self.purged = None;
        let since = *self.calm_since.get_or_insert(at);
        if self.boards >= self.max_boards || at < since + CALM_FOR {
            return Step::None;
        }
        self.calm_since = Some(at);
        Step::MoreBoards(self.change(at, self.boards.saturating_mul(2).min(self.max_boards)))
    }

    /// If a purge is due, the pause until the next one.
    fn pause_if_due(&self, at: Duration, level: Level) -> Option<Duration> {
        let [shortest, longest] = PURGE_PAUSES;
        match self.purged {
            None => Some(shortest),
            Some(last) if level > last.level => Some(shortest),
            Some(last) if at >= last.at + last.next_after => Some((last.next_after * 2).min(longest)),
            Some(_) => None,
        }
    }

    /// The step after a purge that did not help.
    fn escalate(&mut self, at: Duration, level: Level) -> Step {
        if level < Level::High {
            return Step::None;
        }
        if self.boards > 1 {
            if level >= Level::Critical {
                return Step::FewerBoards(self.change(at, 1));
            }
            let is_settled = self.changed.is_none_or(|changed| at >= changed + SETTLING);
            return if is_settled { Step::FewerBoards(self.change(at, self.boards / 2)) } else { Step::None };
        }
        if level < Level::Critical {
            return Step::None;
        }
        let since = *self.critical_since.get_or_insert(at);
        if level == Level::Critical && at < since + CRITICAL_FOR {
            return Step::None;
        }
        self.stopping = true;
        Step::Stop
    }

    fn change(&mut self, at: Duration, boards: usize) -> usize {
        self.changed = Some(at);
        self.boards = boards;
        boards
    }
}
