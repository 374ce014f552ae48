//! What programs answer: the figures of a process, its tasks, and what a purge did.

use serde::{Deserialize, Serialize};

/// What a process holds, as it says itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stats {
    /// The program's name.
    pub(crate) program: String,
    /// Its process id.
    pub(crate) pid: u32,
    /// Its version.
    #[serde(default)]
    pub(crate) version: String,
    /// Since when it runs, in RFC 3339.
    #[serde(default)]
    pub(crate) started_at: String,
    /// How long that is.
    pub(crate) uptime_s: f64,
    /// What it is at.
    pub(crate) phase: String,
    /// Given out by the allocator and not yet taken back.
    pub(crate) allocated_bytes: u64,
    /// Pages with anything allocated in them.
    pub(crate) active_bytes: u64,
    /// The allocator's own.
    pub(crate) metadata_bytes: u64,
    /// What the allocator believes to be in memory.
    pub(crate) resident_bytes: u64,
    /// Mapped by the allocator.
    pub(crate) mapped_bytes: u64,
    /// Address space kept without memory behind it.
    pub(crate) retained_bytes: u64,
    /// Freed, and kept by threads for their next use.
    #[serde(default)]
    pub(crate) thread_cache_bytes: u64,
    /// In memory, by the kernel's account (`VmRSS`).
    pub(crate) rss_bytes: u64,
    /// The most there ever was (`VmHWM`).
    pub(crate) peak_rss_bytes: u64,
    /// Its share of what it shares with others, by the kernel's account; none where that is not told.
    pub(crate) pss_bytes: Option<u64>,
    /// What it was told to live in.
    pub(crate) limit_bytes: Option<u64>,
    /// Threads.
    pub(crate) threads: u64,
    /// Tasks of its runtime that are alive.
    pub(crate) tasks: u64,
    /// File descriptors.
    pub(crate) open_fds: u64,
    /// Connections to the service.
    pub(crate) connections: u64,
    /// How often it has purged.
    pub(crate) purges: u64,
    /// How far its work is, if it has any that is counted.
    #[serde(default)]
    pub(crate) progress: Option<Progress>,
}

/// How far fetching is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Boards to fetch.
    pub(crate) total: u64,
    /// Boards fetched.
    pub(crate) fetched: u64,
    /// Boards given up.
    pub(crate) failed: u64,
    /// Entries that have arrived.
    pub(crate) entries: u64,
}

/// A task that is alive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Task {
    /// What it is there for.
    pub(crate) name: String,
    /// How long it has been.
    pub(crate) age_s: f64,
    /// Where it was spawned: `file:line`.
    pub(crate) place: String,
}

/// What a purge did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Purged {
    /// What the process held before.
    pub(crate) before: Stats,
    /// What it holds now.
    pub(crate) after: Stats,
    /// The difference; below zero where the work took more meanwhile.
    pub(crate) given_back_bytes: i64,
    /// How long it took.
    pub(crate) took_ms: f64,
}

impl Stats {
    /// When it began to run, in milliseconds since 1970, by its own account; none where it does not say.
    pub(crate) fn started_ms(&self) -> Option<i64> {
        self.started_at.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
    }
}
