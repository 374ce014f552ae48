//! The figures that are judged, and how much of each is nothing.

use r3e_common::runtime::memory;
use serde::Serialize;

use super::series::Point;

/// What is judged of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Figure {
    /// Bytes that the allocator has given out, without those that threads' caches hold.
    Allocated,
    /// Bytes in memory, by the kernel's account.
    Resident,
    /// Live tasks.
    Tasks,
    /// Open descriptors that are no TCP connections: those are counted for themselves.
    Descriptors,
    /// TCP connections.
    Connections,
    /// Threads.
    Threads,
}

impl Figure {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Allocated, Self::Resident, Self::Tasks, Self::Descriptors, Self::Connections, Self::Threads];

    /// As it is told.
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

    /// Whether it is an amount of bytes, and no count.
    #[must_use]
    pub fn is_bytes(self) -> bool {
        matches!(self, Self::Allocated | Self::Resident)
    }

    /// Growth that is less than this from the first sample to the last is none: caches and pools have some play, and pages
    /// that are half used move.
    #[must_use]
    pub(super) fn floor(self) -> f64 {
        match self {
            Self::Allocated => 352.0 * 1024.0,
            Self::Resident => 3072.0 * 1024.0,
            Self::Tasks | Self::Descriptors | Self::Connections | Self::Threads => 20.0,
        }
    }
}

/// What a process held at one moment, in the order of [`Figure::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures([u64; Figure::ALL.len()]);

impl Figures {
    /// From what a process says of itself, and its live tasks.
    #[must_use]
    pub fn new(held: &memory::Figures, tasks: u64) -> Self {
        let descriptors = held.open_fds.saturating_sub(held.connections);
        Self([held.live_bytes(), held.rss_bytes, tasks, descriptors, held.connections, held.threads])
    }

    /// From the numbers themselves, in the order of [`Figure::ALL`].
    #[must_use]
    pub fn from_array(figures: [u64; Figure::ALL.len()]) -> Self {
        Self(figures)
    }

    /// One of them.
    #[must_use]
    pub fn of(&self, figure: Figure) -> u64 {
        self.0[figure as usize]
    }
}

/// What a process held after a purge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// In milliseconds since 1970.
    pub at_ms: i64,
    /// What it held.
    pub figures: Figures,
}

impl Moment {
    /// One figure of it.
    #[must_use]
    pub fn point(&self, figure: Figure) -> Point {
        Point { at_ms: self.at_ms, value: self.figures.of(figure) }
    }
}
