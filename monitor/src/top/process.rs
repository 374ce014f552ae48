//! A process as `top` knows it.

use std::time::Duration;

use r3e_common::runtime::control::Stats;

use super::eta::Eta;
use super::series::Series;
use crate::sockets::Pid;

/// Identifies a process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id {
    /// The program's name.
    pub(super) program: String,
    /// Its process id.
    pub(super) pid: Pid,
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.program, self.pid)
    }
}

/// Whether a process answers. Times count from the start of `top`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It answered the last question.
    Answers,
    /// It exists and does not answer.
    Silent {
        /// Since when.
        since: Duration,
        /// The error.
        why: String,
    },
    /// It ended at that time.
    Ended(Duration),
}

/// A process.
#[derive(Debug)]
pub(super) struct Process {
    /// Its identity.
    pub(super) id: Id,
    /// Whether it answers.
    pub(super) state: State,
    /// Its last figures.
    pub(super) stats: Option<Stats>,
    /// Its memory over time.
    pub(super) series: Series,
    /// Its progress over time.
    pub(super) eta: Eta,
}

impl Process {
    /// Resident memory in percent of the limit. `None` without a limit.
    pub(super) fn percent_of_limit(&self) -> Option<u64> {
        let stats = self.stats.as_ref()?;
        let limit = stats.limit_bytes.filter(|&limit| limit > 0)?;
        u64::try_from(u128::from(stats.figures.rss_bytes) * 100 / u128::from(limit)).ok()
    }
}
