//! The JSON of the control socket. Its keys are a contract with clients.

use serde::{Deserialize, Serialize};

use crate::runtime::memory::Figures;

/// The answer to `GET /stats`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// The program's name.
    pub program: String,
    /// Its process id, in its own pid namespace.
    pub pid: u32,
    /// That pid namespace; none if it is not known.
    pub pid_namespace: Option<u64>,
    /// Its version.
    pub version: String,
    /// When it started, in RFC 3339.
    pub started_at: String,
    /// How long ago that was, in seconds.
    pub uptime_s: f64,
    /// What it is doing: one of a few words.
    pub phase: String,
    /// Its memory, threads and descriptors; each figure is a key of its own.
    #[serde(flatten)]
    pub figures: Figures,
    /// Its proportional set size: shared pages are divided among the processes that share them.
    pub pss_bytes: u64,
    /// The limit on its resident memory; none if there is no limit.
    pub limit_bytes: Option<u64>,
    /// Live tasks on its runtime.
    pub tasks: u64,
    /// Its progress, if it fetches boards.
    pub progress: Option<BoardsProgress>,
    /// The figures of a scheduler; none for other programs.
    pub schedule: Option<ScheduleFigures>,
}

/// The progress of fetching.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardsProgress {
    /// Boards to fetch.
    pub total: u64,
    /// Boards fetched.
    pub fetched: u64,
    /// Boards that failed.
    pub failed: u64,
    /// Entries that have arrived.
    pub entries: u64,
}

/// What a scheduler has done since it started, and its next run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleFigures {
    /// When the next run is due, in RFC 3339; none if no run is due.
    pub next_run_at: Option<String>,
    /// Which attempt the current job is, from 1; none if there is no job.
    pub attempt: Option<u32>,
    /// Jobs started; each attempt counts.
    pub jobs_started: u64,
    /// Attempts that failed.
    pub jobs_failed: u64,
    /// Commands of `schedule.after` that failed.
    #[serde(default)]
    pub commands_failed: u64,
}

/// An item of the answer to `GET /tasks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskStats {
    /// What it is for.
    pub name: String,
    /// Its age in seconds.
    pub age_s: f64,
    /// Where it was spawned: `file:line`.
    pub place: String,
}

/// The answer to `POST /purge`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PurgeStats {
    /// The process before the purge.
    pub before: Stats,
    /// The process after the purge.
    pub after: Stats,
    /// How much resident memory was returned; negative if the process allocated more meanwhile.
    pub given_back_bytes: i64,
    /// How long the purge took.
    pub took_ms: f64,
}
