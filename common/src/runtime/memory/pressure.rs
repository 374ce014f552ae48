//! How a process gives way on the way to its limit: which step comes next. Pure: takes figures and times, does nothing.
//!
//! | in use, of the limit | step |
//! | --- | --- |
//! | under 70 % for 10 s | twice as many boards in flight again, until it is as many as there were |
//! | 75 % | a purge, and another each time it comes to a higher step; while it stays, after 5, 10, 20, … 60 s |
//! | 85 %, after a purge | half as many boards in flight, at most once a second, down to one |
//! | 95 %, after a purge | one board in flight; if it stays so high for 2 s, an orderly stop |
//! | 100 %, after a purge, with one board in flight | an orderly stop |
//!
//! The steps are those of programs that live with limits: a purge at 75 %, and at 0.7, 0.8, 0.9 harder ones each. Between
//! 70 and 75 % nothing changes, so that a process at the edge does not go to and fro.
//!
//! A job counts whichever is nearer to its limit, what it has resident or what its control group holds: it gives way to daemons that
//! share the group. A daemon purges when the group is near its limit, but stops only for what it has resident itself: what it
//! could give would not help where a job is large.

#[cfg(test)]
mod tests;

use std::time::Duration;

/// Under this share, in percent, all is well again.
const CALM: u64 = 70;
/// How long all has to be well until more boards are allowed.
const CALM_FOR: Duration = Duration::from_secs(10);
/// The pauses between purges that did not help.
const PURGE_PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_mins(1)];
/// How long a purge that is at work is waited for.
const PURGE_TAKES: Duration = Duration::from_secs(1);
/// How long boards in flight get to be done, before fewer still are allowed.
const SETTLING: Duration = Duration::from_secs(1);
/// How long it may stay right below the limit.
const AT_THE_TOP: Duration = Duration::from_secs(2);

/// How near the limit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Height {
    Low,
    Purge,
    Fewer,
    Top,
    Over,
}

impl Height {
    fn of(percent: u64) -> Self {
        match percent {
            0..75 => Self::Low,
            75..85 => Self::Purge,
            85..95 => Self::Fewer,
            95..100 => Self::Top,
            100.. => Self::Over,
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    None,
    /// Give back what is free.
    Purge,
    /// From now on, so many boards in flight: fewer than before.
    FewerBoards(usize),
    /// From now on, so many boards in flight: more than before.
    MoreBoards(usize),
    /// Stop in order, with exit code 75. Told once.
    StopOrderly,
}

/// Who gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A process that has up to so many boards in flight, and that can be run again.
    Job {
        /// How many, to begin with.
        boards: usize,
    },
    /// A process that is to stay.
    Daemon,
}

impl Role {
    /// How many boards may be in flight, to begin with.
    #[must_use]
    pub fn boards(self) -> usize {
        match self {
            Self::Job { boards } => boards,
            Self::Daemon => 1,
        }
    }
}

/// What is known at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When, since the beginning.
    pub at: Duration,
    /// What this process has resident, in percent of its limit.
    pub own: u64,
    /// What its control group holds, in percent of the group's limit; 0 where it has none.
    pub group: u64,
    /// Whether a purge is at work.
    pub purging: bool,
}

/// Where a process stands.
#[derive(Debug, Clone)]
pub struct PressurePolicy {
    role: Role,
    most_boards: usize,
    boards: usize,
    /// When the number of boards last changed.
    changed: Option<Duration>,
    /// The last purge since all was well.
    purged: Option<Purged>,
    calm_since: Option<Duration>,
    top_since: Option<Duration>,
    stopping: bool,
}

#[derive(Debug, Clone, Copy)]
struct Purged {
    at: Duration,
    height: Height,
    next_after: Duration,
}

impl PressurePolicy {
    /// A ladder for a process that has just started.
    #[must_use]
    pub fn new(role: Role) -> Self {
        let boards = role.boards();
        Self {
            role,
            most_boards: boards,
            boards,
            changed: None,
            purged: None,
            calm_since: None,
            top_since: None,
            stopping: false,
        }
    }

    /// How many boards may be in flight.
    #[must_use]
    pub fn boards(&self) -> usize {
        self.boards
    }

    /// Takes what is known now, and says what to do. What it says is taken to be done.
    pub fn step(&mut self, sample: Sample) -> Step {
        if self.stopping {
            return Step::None;
        }
        let percent = sample.own.max(sample.group);
        let height = match self.role {
            Role::Job { .. } => Height::of(percent),
            Role::Daemon => Height::of(sample.own).max(Height::of(sample.group).min(Height::Purge)),
        };
        if height < Height::Top {
            self.top_since = None;
        }
        if percent < CALM {
            return self.calm(sample.at);
        }
        self.calm_since = None;
        if height == Height::Low {
            return Step::None;
        }
        // What a purge gives back shows when it is done.
        let is_purging = sample.purging && self.purged.is_none_or(|it| sample.at < it.at + PURGE_TAKES);
        if is_purging {
            return Step::None;
        }
        if let Some(next_after) = self.pause_if_due(sample.at, height) {
            self.purged = Some(Purged { at: sample.at, height, next_after });
            return Step::Purge;
        }
        self.harder(sample.at, height)
    }

    fn calm(&mut self, at: Duration) -> Step {
        self.purged = None;
        let since = *self.calm_since.get_or_insert(at);
        if self.boards >= self.most_boards || at < since + CALM_FOR {
            return Step::None;
        }
        self.calm_since = Some(at);
        Step::MoreBoards(self.change(at, self.boards.saturating_mul(2).min(self.most_boards)))
    }

    /// If a purge is due, after which pause the next one is.
    fn pause_if_due(&self, at: Duration, height: Height) -> Option<Duration> {
        let [shortest, longest] = PURGE_PAUSES;
        match self.purged {
            None => Some(shortest),
            Some(last) if height > last.height => Some(shortest),
            Some(last) if at >= last.at + last.next_after => Some((last.next_after * 2).min(longest)),
            Some(_) => None,
        }
    }

    /// The steps after a purge that did not help.
    fn harder(&mut self, at: Duration, height: Height) -> Step {
        if height < Height::Fewer {
            return Step::None;
        }
        if self.boards > 1 {
            if height >= Height::Top {
                return Step::FewerBoards(self.change(at, 1));
            }
            let is_settled = self.changed.is_none_or(|changed| at >= changed + SETTLING);
            return if is_settled { Step::FewerBoards(self.change(at, self.boards / 2)) } else { Step::None };
        }
        if height < Height::Top {
            return Step::None;
        }
        let since = *self.top_since.get_or_insert(at);
        if height == Height::Top && at < since + AT_THE_TOP {
            return Step::None;
        }
        self.stopping = true;
        Step::StopOrderly
    }

    fn change(&mut self, at: Duration, boards: usize) -> usize {
        self.changed = Some(at);
        self.boards = boards;
        boards
    }
}
