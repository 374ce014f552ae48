//! The jobs that suffer, and those that come next.

use r3e_tests::harness::{Invocation, Place};
use r3e_tests::sim::Simulator;

/// A job, as people start it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    Load,
    Full,
    Incremental,
}

pub(crate) const JOBS: [Job; 3] = [Job::Load, Job::Full, Job::Incremental];

impl Job {
    pub(crate) fn at(self, place: &Place, sim: &Simulator) -> Invocation {
        match self {
            Self::Load => place.loader(&sim.base_url()),
            Self::Full => place.refresher(&sim.base_url(), &["full"]),
            Self::Incremental => place.refresher(&sim.base_url(), &["incremental"]),
        }
    }

    /// Whether boards go to their final path at once.
    pub(crate) fn writes_through(self) -> bool {
        self == Self::Incremental
    }

    /// How it names itself to another writer.
    pub(crate) fn says(self) -> [&'static str; 2] {
        match self {
            Self::Load => ["r3e-loader (pid ", ": loading)"],
            Self::Full => ["r3e-refresher (pid ", ": refreshing all boards)"],
            Self::Incremental => ["r3e-refresher (pid ", ": refreshing the oldest boards)"],
        }
    }
}
