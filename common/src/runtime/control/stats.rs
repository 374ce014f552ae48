//! What the control socket says, as it is said: the keys are a contract with whoever asks.

use serde::{Deserialize, Serialize};

use crate::runtime::memory::Figures;

/// The answer to `GET /stats`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// The program's name.
    pub program: String,
    /// Its process id, as it sees it itself.
    pub pid: u32,
    /// The pid namespace which that id is of; none where that is not known.
    pub pid_namespace: Option<u64>,
    /// Its version.
    pub version: String,
    /// Since when it runs, in RFC 3339.
    pub started_at: String,
    /// How long that is.
    pub uptime_s: f64,
    /// What it is at: one of a few words.
    pub phase: String,
    /// What it holds; each figure is a key of its own.
    #[serde(flatten)]
    pub figures: Figures,
    /// What is in memory, with shared pages divided among those who share them.
    pub pss_bytes: u64,
    /// The most it may have resident; none for no limit.
    pub limit_bytes: Option<u64>,
    /// Tasks that are alive on its runtime.
    pub tasks: u64,
    /// How far it is, where it has boards to fetch.
    pub progress: Option<BoardsProgress>,
    /// What a scheduler has done and will do; none of other programs.
    pub schedule: Option<ScheduleFigures>,
}

/// How far fetching is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardsProgress {
    /// Boards to fetch.
    pub total: u64,
    /// Boards fetched.
    pub fetched: u64,
    /// Boards given up.
    pub failed: u64,
    /// Entries that have arrived.
    pub entries: u64,
}

/// What a scheduler has done since it started, and when it will do more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleFigures {
    /// When the next run is due, in RFC 3339; none where no run is due.
    pub next_run_at: Option<String>,
    /// Which attempt the job is that is at work or waits to be tried again, from 1; none where there is none.
    pub attempt: Option<u32>,
    /// Jobs that were started, each attempt by itself.
    pub jobs_started: u64,
    /// Attempts that failed.
    pub jobs_failed: u64,
}

/// One of the answer to `GET /tasks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskStats {
    /// What it is for.
    pub name: String,
    /// How long it is there.
    pub age_s: f64,
    /// Where it was spawned: `file:line`.
    pub place: String,
}

/// The answer to `POST /purge`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PurgeStats {
    /// What the process held before.
    pub before: Stats,
    /// What it holds now.
    pub after: Stats,
    /// By how much less is resident; below zero where the work took more meanwhile.
    pub given_back_bytes: i64,
    /// How long the purge took.
    pub took_ms: f64,
}
