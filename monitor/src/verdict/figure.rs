//! The figures that are judged, and how much growth of each is ignored.

use r3e_common::runtime::memory;
use serde::Serialize;

use super::series::Point;

/// A figure of a process.
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
}

impl Figure {
    /// All figures, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Allocated, Self::Resident, Self::Tasks, Self::Descriptors, Self::Connections, Self::Threads];

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
        }
    }

    /// Whether it is a number of bytes.
    #[must_use]
    pub fn is_bytes(self) -> bool {
        matches!(self, Self::Allocated | Self::Resident)
    }

    /// Growth from the first sample to the last that is ignored: caches and pools vary, and so do half-used pages.
    pub(super) fn floor(self) -> f64 {
        match self {
            Self::Allocated => 352.0 * 1024.0,
            Self::Resident => 3072.0 * 1024.0,
            Self::Tasks | Self::Descriptors | Self::Connections | Self::Threads => 20.0,
        }
    }
}

/// The values of all figures, in the order of [`Figure::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures([u64; Figure::ALL.len()]);

impl Figures {
    /// From the figures that a process reports, and its number of live tasks.
    #[must_use]
    pub fn new(held: &memory::Figures, tasks: u64) -> Self {
        let descriptors = held.open_fds.saturating_sub(held.connections);
        Self([held.live_bytes(), held.rss_bytes, tasks, descriptors, held.connections, held.threads])
    }

    /// From values in the order of [`Figure::ALL`].
    #[must_use]
    pub fn from_array(figures: [u64; Figure::ALL.len()]) -> Self {
        Self(figures)
    }

    /// The value of one figure.
    #[must_use]
    pub fn of(&self, figure: Figure) -> u64 {
        self.0[figure as usize]
    }
}

/// A sample that was taken after a purge.
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
