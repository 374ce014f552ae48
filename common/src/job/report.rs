//! The result of a run, for people and for scripts.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use crate::index::Exported;
use crate::runtime::exit::Exit;
use crate::runtime::memory::{Figures, mb};
use crate::store::FailedFetch;
use crate::upstream::Requests;

/// How many failed boards the text names; `status.json` and `--json` name all.
const MAX_NAMED: usize = 10;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All due boards were fetched.
    Done,
    /// Some boards failed.
    SomeBoardsFailed,
    /// The service is down.
    Unavailable(String),
    /// It was stopped.
    Stopped,
    /// It reached the memory limit.
    MemoryLimit(String),
}

impl Outcome {
    /// The exit code. `stopped` is that of the signal that stopped the run.
    #[must_use]
    pub fn exit(&self, stopped: Option<Exit>) -> Exit {
        match self {
            Self::Done => Exit::Done,
            Self::SomeBoardsFailed => Exit::SomeBoardsFailed,
            Self::Unavailable(_) => Exit::Unavailable,
            Self::Stopped => stopped.unwrap_or(Exit::Terminated),
            Self::MemoryLimit(_) => Exit::TryAgain,
        }
    }

    /// The outcome's name in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::SomeBoardsFailed => "some_boards_failed",
            Self::Unavailable(_) => "unavailable",
            Self::Stopped => "stopped",
            Self::MemoryLimit(_) => "memory_limit",
        }
    }
}

/// Counts of boards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Boards {
    /// In the catalogue.
    pub catalogue: usize,
    /// In the cache at the end, including empty ones.
    pub cached: usize,
    /// Cached with entries.
    pub with_entries: usize,
    /// To be fetched by this run.
    pub due: usize,
    /// Fetched by this run: the sum of the next four.
    pub fetched: usize,
    /// Fetched with different entries, and written.
    pub changed: usize,
    /// Fetched with the same entries as cached.
    pub unchanged: usize,
    /// Fetched without entries, as before.
    pub empty: usize,
    /// Fetched without entries; the cached entries were kept.
    pub kept: usize,
    /// Moved from staging to the cache.
    pub promoted: usize,
    /// Left complete in staging by an interrupted run.
    pub left_by_interrupted_run: usize,
    /// Damaged and moved aside.
    pub damaged: usize,
    /// Retried at the end.
    pub retried: usize,
    /// Not fetched or not stored.
    pub failed: usize,
    /// Not attempted, because the run ended early.
    pub not_reached: usize,
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Summary {
    /// How it ended.
    pub outcome: Outcome,
    /// The cache folder.
    pub cache: PathBuf,
    /// Counts of boards.
    pub boards: Boards,
    /// Distinct drivers in the index.
    pub drivers: usize,
    /// Entries in the index.
    pub entries: usize,
    /// Entries without a driver's name, which are not in the index.
    pub entries_without_driver: usize,
    /// The boards that failed.
    pub failed: Vec<FailedFetch>,
    /// Statistics of requests.
    pub requests: Requests,
    /// The last export, if there was one.
    pub index: Option<Exported>,
    /// How long it took.
    pub seconds: f64,
    /// Memory at the end, and the peak.
    pub memory: Option<Figures>,
}

impl Summary {
    /// The result for scripts.
    #[must_use]
    pub fn to_json(&self, program: &str, exit: Exit) -> Value {
        let reason = match &self.outcome {
            Outcome::Unavailable(why) | Outcome::MemoryLimit(why) => Some(why),
            _ => None,
        };
        json!({
            "program": program,
            "outcome": self.outcome.name(),
            "reason": reason,
            "exit_code": exit.code(),
            "cache": self.cache,
            "boards": self.boards,
            "drivers": self.drivers,
            "entries": self.entries,
            "entries_without_driver": self.entries_without_driver,
            "failed": self.failed,
            "requests": {
                "sent": self.requests.sent,
                "retries": self.requests.retries,
                "body_bytes": self.requests.body_bytes,
                "results_left_out": self.requests.left_out,
            },
            "index": self.index.map(|it| json!({
                "changed": it.changed(),
                "generation": it.generation.to_string(),
                "json_bytes": it.json_bytes,
                "gzip_bytes": it.gzip_bytes,
            })),
            "seconds": self.seconds,
            "memory": self.memory,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let boards = &self.boards;
        match &self.outcome {
            Outcome::Done => writeln!(f, "Done in {:.1} s.", self.seconds)?,
            Outcome::SomeBoardsFailed => {
                writeln!(f, "Done in {:.1} s, but {} boards failed.", self.seconds, boards.failed)?;
            }
            Outcome::Unavailable(why) => writeln!(f, "The service is unavailable: {why}")?,
            Outcome::MemoryLimit(why) => {
                writeln!(f, "Stopped after {:.1} s: {why}. The next run resumes from here.", self.seconds)?;
            }
            Outcome::Stopped => {
                writeln!(f, "Stopped after {:.1} s; the next run resumes from here.", self.seconds)?;
            }
        }
        writeln!(
            f,
            "  boards   {} of {} cached, {} with entries",
            boards.cached, boards.catalogue, boards.with_entries
        )?;
        let Boards { fetched, due, changed, unchanged, empty, .. } = boards;
        writeln!(f, "  fetched  {fetched} of {due} due: {changed} changed, {unchanged} unchanged, {empty} empty")?;
        for (count, what) in [
            (boards.not_reached, "not reached"),
            (boards.left_by_interrupted_run, "left by an interrupted run"),
            (boards.kept, "kept, because the service no longer has entries"),
            (boards.damaged, "damaged files moved aside"),
            (boards.retried, "retried at the end"),
        ] {
            if count > 0 {
                writeln!(f, "           {count} {what}")?;
            }
        }
        writeln!(f, "  index    {} drivers, {} entries", self.drivers, self.entries)?;
        if self.entries_without_driver > 0 {
            writeln!(
                f,
                "           {} entries without a driver name are not in the index",
                self.entries_without_driver
            )?;
        }
        let Requests { sent, retries, body_bytes, left_out } = self.requests;
        writeln!(f, "  service  {sent} requests, {retries} of them retries, {} MB received", mb(body_bytes))?;
        if left_out > 0 {
            writeln!(f, "           {left_out} results were not usable entries")?;
        }
        if let Some(figures) = &self.memory {
            let Figures { peak_rss_bytes, rss_bytes, allocated_bytes, .. } = figures;
            writeln!(
                f,
                "  memory   {} MB at the peak; {} MB at the end, {} MB of it allocated",
                mb(*peak_rss_bytes),
                mb(*rss_bytes),
                mb(*allocated_bytes)
            )?;
        }
        writeln!(f, "  files    {}", self.cache.display())?;
        for failed in self.failed.iter().take(MAX_NAMED) {
            let FailedFetch { track_id, class_id, track_name, error, .. } = failed;
            writeln!(f, "  failed   {track_id}-{class_id} {track_name}: {error}")?;
        }
        if self.failed.len() > MAX_NAMED {
            writeln!(f, "           … and {} more, see status.json", self.failed.len() - MAX_NAMED)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_exit_code() {
        let interrupted = Some(Exit::Interrupted);
        for (outcome, stopped, code) in [
            (Outcome::Done, interrupted, 0),
            (Outcome::SomeBoardsFailed, interrupted, 3),
            (Outcome::Unavailable(String::new()), interrupted, 69),
            (Outcome::MemoryLimit(String::new()), interrupted, 75),
            (Outcome::Stopped, interrupted, 130),
            (Outcome::Stopped, None, 143),
        ] {
            assert_eq!(outcome.exit(stopped).code(), code, "{outcome:?}");
        }
    }
}
