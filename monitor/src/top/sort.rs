//! By what the list is ordered.

use std::cmp::Ordering;

use r3e_common::runtime::control::Stats;

use super::app::Process;
use super::pace;

/// A key of the order: of numbers the largest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// In memory.
    Resident,
    /// Given out by the allocator.
    Allocated,
    /// What it has of its limit.
    Limit,
    /// How far it is.
    Progress,
    /// Live tasks.
    Tasks,
    /// Open descriptors.
    Descriptors,
    /// Connections.
    Connections,
    /// How long it runs.
    Uptime,
    /// Its program.
    Name,
    /// Its number.
    Pid,
}

impl Sort {
    /// All, in the order in which one key goes through them, with the key that chooses each at once.
    pub(super) const ALL: [(Self, char, &'static str); 10] = [
        (Self::Resident, 'm', "resident"),
        (Self::Allocated, 'a', "allocated"),
        (Self::Limit, 'l', "share of limit"),
        (Self::Progress, 'b', "boards done"),
        (Self::Tasks, 't', "tasks"),
        (Self::Descriptors, 'd', "descriptors"),
        (Self::Connections, 'c', "connections"),
        (Self::Uptime, 'u', "uptime"),
        (Self::Name, 'n', "name"),
        (Self::Pid, 'i', "pid"),
    ];

    /// The one that a key chooses.
    pub(super) fn by_key(key: char) -> Option<Self> {
        Self::ALL.iter().find(|it| it.1 == key).map(|it| it.0)
    }

    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|it| it.0 == self).map_or("", |it| it.2)
    }

    /// The next one.
    pub(super) fn next(self) -> Self {
        let at = Self::ALL.iter().position(|it| it.0 == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()].0
    }

    /// Which of two comes first. One that nothing is known of comes last.
    pub(super) fn compare(self, a: &Process, b: &Process) -> Ordering {
        let number = |it: &Process| {
            let stats = it.stats.as_ref()?;
            Some(match self {
                Self::Resident => stats.figures.rss_bytes,
                Self::Allocated => stats.figures.allocated_bytes,
                Self::Limit => it.percent_of_limit()?,
                Self::Progress => permille(stats)?,
                Self::Tasks => stats.tasks,
                Self::Descriptors => stats.figures.open_fds,
                Self::Connections => stats.figures.connections,
                Self::Uptime | Self::Name | Self::Pid => return None,
            })
        };
        match self {
            Self::Name => a.id.program.cmp(&b.id.program),
            Self::Pid => a.id.pid.cmp(&b.id.pid),
            Self::Uptime => {
                let uptime = |it: &Process| it.stats.as_ref().map_or(-1.0, |it| it.uptime_s);
                uptime(b).total_cmp(&uptime(a))
            }
            _ => number(b).cmp(&number(a)),
        }
    }
}

fn permille(stats: &Stats) -> Option<u64> {
    let progress = stats.progress.filter(|it| it.total > 0)?;
    u64::try_from(u128::from(pace::done(&progress)) * 1000 / u128::from(progress.total)).ok()
}

/// How far it is, in whole percent; none where there is nothing to be done.
pub(super) fn percent_done(stats: &Stats) -> Option<u64> {
    Some((permille(stats)? / 10).min(100))
}
