//! What a child process is started for, and the publication that commands run for.

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use r3e_common::runtime::NEVER;
use r3e_common::runtime::fs::FsError;
use r3e_common::store::StatusView;
use serde_json::Value;

use crate::agenda::Attempt;

/// What a child process was started for. There is one child at a time.
#[derive(Debug)]
pub(super) enum Work {
    /// A job. `published` is the last publication before it.
    Job { attempt: Attempt, published: Option<Publication> },
    /// A command of `schedule.after`.
    Command { command: Command, started: SystemTime },
}

impl Work {
    /// The attempt, if it is a job.
    pub(super) fn attempt(&self) -> Option<Attempt> {
        match self {
            Self::Job { attempt, .. } => Some(*attempt),
            Self::Command { .. } => None,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job { attempt, .. } => attempt.job.fmt(f),
            Self::Command { command, .. } => command.fmt(f),
        }
    }
}

/// A command that waits for its turn or runs.
#[derive(Debug, Clone)]
pub(super) struct Command {
    /// The program and its arguments.
    pub(super) words: Vec<String>,
    /// The publication it runs for.
    pub(super) generation: String,
}

impl Command {
    /// The program's name, without its folder.
    pub(super) fn program(&self) -> &str {
        let path = self.words.first().map_or("", String::as_str);
        Path::new(path).file_name().and_then(|it| it.to_str()).unwrap_or(path)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

/// A publication, as `status.json` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Publication {
    at: String,
    pub(super) generation: String,
}

impl Publication {
    /// The last one of a cache, if there is one.
    pub(super) fn last(cache: &Path) -> Result<Option<Self>, FsError> {
        let Some(StatusView { figures, .. }) = StatusView::read(cache, 0)? else { return Ok(None) };
        let text = |key| figures.get(key).and_then(Value::as_str).map(str::to_owned);
        let at = text("last_index_update").filter(|at| at != NEVER);
        Ok(at.map(|at| Self { at, generation: text("generation").unwrap_or_default() }))
    }
}
