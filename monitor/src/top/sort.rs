//! The order of the list.

use std::cmp::Ordering;

use r3e_common::runtime::control::Stats;

use super::eta;
use super::process::Process;

/// A sort key; the largest numbers come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// Resident memory.
    Resident,
    /// Allocated memory.
    Allocated,
    /// Share of the limit.
    Limit,
    /// Share of the boards that are done.
    Progress,
    /// Live tasks.
    Tasks,
    /// Open file descriptors.
    Descriptors,
    /// Open connections.
    Connections,
    /// Uptime.
    Uptime,
    /// Program name.
    Name,
    /// Process id.
    Pid,
}

impl Sort {
    /// All sort keys in the order of `s`, each with the letter that chooses it.
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

    /// The sort key of a letter.
    pub(super) fn by_key(key: char) -> Option<Self> {
        Self::ALL.iter().find(|it| it.1 == key).map(|it| it.0)
    }

    /// The title.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|it| it.0 == self).map_or("", |it| it.2)
    }

    /// The next sort key; the first follows the last.
    pub(super) fn next(self) -> Self {
        let at = Self::ALL.iter().position(|it| it.0 == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()].0
    }

    /// Compares two processes. Unknown figures come last.
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
    u64::try_from(u128::from(eta::done(&progress)) * 1000 / u128::from(progress.total)).ok()
}

/// Share of the boards that are done, in percent. `None` if it fetches none.
pub(super) fn percent_done(stats: &Stats) -> Option<u64> {
    Some((permille(stats)? / 10).min(100))
}
