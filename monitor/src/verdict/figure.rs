//! The figures that are judged, and how much growth of each is ignored.

use r3e_common::runtime::memory;
use serde::Serialize;

use super::series::Point;

/// A figure of a process or of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Figure {
    /// Allocated bytes, without thread caches.
    Allocated,
    /// Resident bytes, from the kernel.
    Resident,
    /// Live tasks.
    Tasks,
    /// Open file descriptors other than TCP connections.
    Descriptors,
    /// TCP connections.
    Connections,
    /// Threads.
    Threads,
    /// Peak resident bytes, from the kernel. Judged of runs only, as that of a process never falls.
    Peak,
}

impl Figure {
    /// The figures that are judged of a process, in the order in which they are shown.
    pub const OF_PROCESSES: [Self; 6] =
        [Self::Allocated, Self::Resident, Self::Tasks, Self::Descriptors, Self::Connections, Self::Threads];

    /// The figures that are judged of runs.
    pub const OF_RUNS: [Self; 3] = [Self::Peak, Self::Resident, Self::Allocated];

    /// The name in text and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allocated => "allocated",
            Self::Resident => "resident",
            Self::Tasks => "tasks",
            Self::Descriptors => "descriptors",
            Self::Connections => "connections",
            Self::Threads => "threads",
            Self::Peak => "peak",
        }
    }

    /// Whether it is a number of bytes.
    #[must_use]
    pub fn is_bytes(self) -> bool {
        matches!(self, Self::Allocated | Self::Resident | Self::Peak)
    }

    /// Growth from the first sample to the last that is ignored: caches and pools vary, and so do half-used pages.
    pub(super) fn floor(self) -> f64 {
        match self {
            Self::Allocated => 352.0 * 1024.0,
            Self::Resident | Self::Peak => 3072.0 * 1024.0,
            Self::Tasks | Self::Descriptors | Self::Connections | Self::Threads => 20.0,
        }
    }
}

/// The values of all figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// In the order of [`Figure::OF_PROCESSES`].
    of_process: [u64; Figure::OF_PROCESSES.len()],
    peak_rss_bytes: u64,
}

impl Figures {
    /// From the figures that a process reports, and its number of live tasks.
    #[must_use]
    pub fn new(held: &memory::Figures, tasks: u64) -> Self {
        let descriptors = held.open_fds.saturating_sub(held.connections);
        Self {
            of_process: [held.live_bytes(), held.rss_bytes, tasks, descriptors, held.connections, held.threads],
            peak_rss_bytes: held.peak_rss_bytes,
        }
    }

    /// From values in the order of [`Figure::OF_PROCESSES`], without a peak.
    #[must_use]
    pub fn from_array(of_process: [u64; Figure::OF_PROCESSES.len()]) -> Self {
        Self { of_process, peak_rss_bytes: 0 }
    }

    /// The value of one figure.
    #[must_use]
    pub fn of(&self, figure: Figure) -> u64 {
        match figure {
            Figure::Peak => self.peak_rss_bytes,
            other => self.of_process[other as usize],
        }
    }
}

/// A sample that was taken after a purge, or at the end of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// In milliseconds since 1970.
    pub at_ms: i64,
    /// The figures.
    pub figures: Figures,
}

impl Moment {
    /// One figure of the sample.
    #[must_use]
    pub fn point(&self, figure: Figure) -> Point {
        Point { at_ms: self.at_ms, value: self.figures.of(figure) }
    }
}
