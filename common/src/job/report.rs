//! What a run came to, for people and for scripts.

use std::fmt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::index::Exported;
use crate::runtime::exit::Exit;
use crate::runtime::memory::{Figures, mb};
use crate::store::FailedFetch;
use crate::upstream::Requests;

/// So many failed boards are named to people; `status.json` and `--json` name all.
const NAMED: usize = 10;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All that was due was fetched.
    Done,
    /// All but some boards.
    SomeBoardsFailed,
    /// The service is down.
    Unavailable(String),
    /// It was asked to stop before it was done.
    Stopped,
    /// It stopped because it would have held more than it may.
    MemoryLimit(String),
}

impl Outcome {
    /// The exit code; `stopped` is that of the signal which asked to stop.
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

    /// Its name in results for scripts.
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Boards {
    /// In the catalogue.
    pub catalogue: usize,
    /// In the cache at the end, empty ones included.
    pub cached: usize,
    /// Those among them with entries.
    pub with_entries: usize,
    /// To be fetched by this run.
    pub due: usize,
    /// Fetched by this run: the next four together.
    pub fetched: usize,
    /// Fetched, and written because their entries are not those that were cached.
    pub changed: usize,
    /// Fetched with the entries that are cached, and not written.
    pub unchanged: usize,
    /// Fetched without entries, where there were none before.
    pub empty: usize,
    /// With entries in the cache, where the service had none: not replaced.
    pub kept: usize,
    /// Moved from staging into the cache.
    pub promoted: usize,
    /// Found whole in staging, from a run that was interrupted.
    pub left_by_interrupted_run: usize,
    /// Damaged files that were moved aside.
    pub damaged: usize,
    /// Tried once more at the end.
    pub retried: usize,
    /// Tried, and not fetched or not stored.
    pub failed: usize,
    /// Not tried, because the run ended before.
    pub not_reached: usize,
}

impl Boards {
    /// For scripts.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Self {
            catalogue,
            cached,
            with_entries,
            due,
            fetched,
            changed,
            unchanged,
            empty,
            kept,
            promoted,
            left_by_interrupted_run,
            damaged,
            retried,
            failed,
            not_reached,
        } = self;
        json!({
            "catalogue": catalogue,
            "cached": cached,
            "with_entries": with_entries,
            "due": due,
            "fetched": fetched,
            "changed": changed,
            "unchanged": unchanged,
            "empty": empty,
            "kept": kept,
            "promoted": promoted,
            "left_by_interrupted_run": left_by_interrupted_run,
            "damaged": damaged,
            "retried": retried,
            "failed": failed,
            "not_reached": not_reached,
        })
    }
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Summary {
    /// How it ended.
    pub outcome: Outcome,
    /// Where the files are.
    pub cache: PathBuf,
    /// Counts of boards.
    pub boards: Boards,
    /// Distinct drivers in the index.
    pub drivers: usize,
    /// Entries in the index.
    pub entries: usize,
    /// Entries that have no driver name, and so are in no index.
    pub entries_without_driver: usize,
    /// The boards that failed.
    pub failed: Vec<FailedFetch>,
    /// What was asked of the service.
    pub requests: Requests,
    /// What the last export wrote; none where it was stopped before.
    pub index: Option<Exported>,
    /// How long it took.
    pub seconds: f64,
    /// What the process holds at the end, and its peak.
    pub memory: Option<Figures>,
}

impl Summary {
    /// For scripts.
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
            "boards": self.boards.to_json(),
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
                writeln!(f, "Stopped after {:.1} s: {why}. The next run goes on from here.", self.seconds)?;
            }
            Outcome::Stopped => {
                writeln!(f, "Stopped after {:.1} s; the next run goes on from here.", self.seconds)?;
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
            (boards.left_by_interrupted_run, "taken over from an interrupted run"),
            (boards.kept, "kept, where the service had no entries any more"),
            (boards.damaged, "damaged files moved aside"),
            (boards.retried, "tried once more"),
        ] {
            if count > 0 {
                writeln!(f, "           {count} {what}")?;
            }
        }
        writeln!(f, "  index    {} drivers, {} entries", self.drivers, self.entries)?;
        if self.entries_without_driver > 0 {
            writeln!(f, "           {} entries without a driver name are in no index", self.entries_without_driver)?;
        }
        let Requests { sent, retries, body_bytes, left_out } = self.requests;
        writeln!(f, "  service  {sent} requests, {retries} of them repeated, {} MB received", mb(body_bytes))?;
        if left_out > 0 {
            writeln!(f, "           {left_out} results were no entries, and are in no board")?;
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
        for failed in self.failed.iter().take(NAMED) {
            let FailedFetch { track_id, class_id, track_name, error, .. } = failed;
            writeln!(f, "  failed   {track_id}-{class_id} {track_name}: {error}")?;
        }
        if self.failed.len() > NAMED {
            writeln!(f, "           … and {} more, see status.json", self.failed.len() - NAMED)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_exit_code() {
        let code = |outcome: &Outcome| match outcome {
            Outcome::Done => 0,
            Outcome::SomeBoardsFailed => 3,
            Outcome::Unavailable(_) => 69,
            Outcome::Stopped => 130,
            Outcome::MemoryLimit(_) => 75,
        };
        let why = String::new;
        let outcomes = [
            Outcome::Done,
            Outcome::SomeBoardsFailed,
            Outcome::Unavailable(why()),
            Outcome::Stopped,
            Outcome::MemoryLimit(why()),
        ];
        for outcome in outcomes {
            assert_eq!(outcome.exit(Some(Exit::Interrupted)).code(), code(&outcome), "{outcome:?}");
        }
        assert_eq!(Outcome::Stopped.exit(None), Exit::Terminated);
    }
}
