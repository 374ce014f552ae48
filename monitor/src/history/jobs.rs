//! The last runs of each job, from the history and from records that are not in it yet: the series from which leaks are found.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::error::HistoryError;
use super::read::{Reader, run};
use super::records::{Run, unread_records};
use crate::verdict::{self, Figure, JUDGED_RUNS, Judgement, judge_runs};

/// Upper bound of the jobs. Before 0.2, a refresh of selected boards was another one for each number of boards.
const MAX_JOBS: usize = 64;

/// A job: a program, and what it does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    pub(crate) program: String,
    pub(crate) doing: String,
    /// The last runs that did their work, oldest first.
    pub(crate) runs: Vec<verdict::Run>,
}

impl Job {
    /// A judgement for each figure.
    pub(crate) fn judgements(&self) -> impl Iterator<Item = Judgement> {
        Figure::OF_RUNS.into_iter().map(|figure| judge_runs(figure, &self.runs))
    }
}

/// The jobs that ran last, by name.
pub(crate) fn jobs(history: &Path, runtime_dir: &Path) -> Result<Vec<Job>, HistoryError> {
    let mut jobs = Jobs::default();
    // Records first: one that a watch imports meanwhile is then seen twice, not never.
    for found in unread_records(runtime_dir)? {
        match found.run {
            Ok(run) => jobs.add(run),
            Err(error) => tracing::warn!("left out: {error}"),
        }
    }
    if let Some(reader) = Reader::open(history)? {
        reader.each(LATEST_FIRST, [], |row| {
            jobs.add(run(row)?);
            Ok(())
        })?;
    }
    Ok(jobs.finish())
}

#[derive(Debug, Default)]
struct Jobs {
    runs: BTreeMap<(String, String), Vec<verdict::Run>>,
    seen: HashSet<(String, u32, i64, i64)>,
}

impl Jobs {
    /// Adds a run that is older than all before it, unless it was seen or there are enough.
    fn add(&mut self, run: Run) {
        let Some(judged) = run.judged() else { return };
        let is_full = self.runs.len() >= MAX_JOBS;
        let job = (run.program.clone(), run.doing);
        if is_full && !self.runs.contains_key(&job) {
            return;
        }
        let runs = self.runs.entry(job).or_default();
        if runs.len() < JUDGED_RUNS as usize
            && self.seen.insert((run.program, run.pid, run.pid_namespace, run.started_ms))
        {
            runs.push(judged);
        }
    }

    fn finish(self) -> Vec<Job> {
        let job = |((program, doing), mut runs): (_, Vec<verdict::Run>)| {
            // Also those whose clock was set back.
            runs.sort_by_key(|it| it.end.at_ms);
            Job { program, doing, runs }
        };
        self.runs.into_iter().map(job).collect()
    }
}

const LATEST_FIRST: &str = "SELECT * FROM runs WHERE recorded = 1 ORDER BY ended_ms DESC, id DESC";
