//! The generations of front ends that files are published for.

use std::fmt;

/// The published files for one generation of front ends, named by the month of its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexFormat {
    /// The driver index and the list of the largest boards.
    February2026,
    /// The index in shards, combinations, teams and statistics.
    April2026,
}

impl IndexFormat {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::February2026, Self::April2026];
}

impl fmt::Display for IndexFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::February2026 => "2026-02",
            Self::April2026 => "2026-04",
        })
    }
}
