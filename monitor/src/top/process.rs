//! A process in the list of `top`.

use std::time::Duration;

use r3e_common::runtime::control::Stats;

use super::eta::Eta;
use super::series::Series;
use crate::sockets::Socket;

/// Whether a process answers. Times count from the start of `top`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Answers,
    /// It exists and does not answer.
    Silent {
        since: Duration,
        why: String,
    },
    Ended(Duration),
}

/// A process, known by its control socket.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: Socket,
    pub(super) state: State,
    /// The last answer.
    pub(super) stats: Option<Stats>,
    pub(super) series: Series,
    pub(super) eta: Eta,
}

impl Process {
    pub(super) fn new(id: Socket) -> Self {
        Self { id, state: State::Answers, stats: None, series: Series::default(), eta: Eta::default() }
    }

    pub(super) fn ended_at(&self) -> Option<Duration> {
        if let State::Ended(at) = self.state { Some(at) } else { None }
    }

    /// Resident memory in percent of the limit. `None` without a limit.
    pub(super) fn percent_of_limit(&self) -> Option<u64> {
        let stats = self.stats.as_ref()?;
        let limit = stats.limit_bytes.filter(|&limit| limit > 0)?;
        u64::try_from(u128::from(stats.figures.rss_bytes) * 100 / u128::from(limit)).ok()
    }
}
