//! The jobs that are interrupted, and the jobs that run next.

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

    /// The program that does it.
    pub(crate) fn program(self) -> &'static str {
        if self == Self::Load { "r3e-loader" } else { "r3e-refresher" }
    }
}
