//! Which job is started next, and what follows when one ends. Pure: time and randomness are arguments.

mod outcome;
#[cfg(test)]
mod tests;

use std::time::Duration;

use r3e_common::runtime::config::Schedule;
use tokio::time::Instant;

use crate::job::{Job, Reason};

pub(crate) use outcome::{Outcome, describe, describe_job};

/// When a failed job is retried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retries {
    /// The limit of failures that waiting may not fix.
    attempts: u32,
    min: Duration,
    max: Duration,
}

impl Retries {
    pub(crate) fn of(schedule: &Schedule) -> Self {
        Self { attempts: schedule.attempts, min: schedule.backoff_min, max: schedule.backoff_max }
    }

    /// The pause after the n-th attempt (from 1): doubles each time, from `min` to `max`, and is shortened randomly by up to
    /// half, so that machines that failed together do not retry together. `random` is between 0 and 1.
    fn pause(self, attempt: u32, random: f64) -> Duration {
        let whole = self.min.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(self.max);
        whole.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0).max(self.min)
    }
}

/// The numbers of jobs and commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Attempts that were started.
    pub(crate) started: u64,
    /// Attempts that failed.
    pub(crate) failed: u64,
    /// Commands of `schedule.after` that failed.
    pub(crate) commands_failed: u64,
}

/// An attempt at a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) job: Job,
    /// The number of this attempt, from 1.
    pub(crate) number: u32,
    /// How many earlier attempts failed in a way that waiting may not fix.
    faults: u32,
}

impl Attempt {
    /// Resets the failures, because it now also does the work of a new job.
    pub(crate) fn forget_faults(&mut self) {
        self.faults = 0;
    }
}

/// A waiting attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Waiting {
    attempt: Attempt,
    /// `None` until the configuration is reloaded.
    not_before: Option<Instant>,
}

/// What follows when an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The job is retried after this pause.
    Retry(Duration),
    /// It is retried when the configuration is reloaded.
    RetryAtReload,
    /// It has failed too often.
    GiveUp,
    /// A waiting job does its work.
    Superseded,
    /// It succeeded, or would fail the same way again.
    Finished,
}

/// The waiting jobs, at most one of each kind.
#[derive(Debug)]
pub(crate) struct Agenda {
    pub(crate) retries: Retries,
    pub(crate) counts: Counts,
    waiting: Vec<Waiting>,
}

impl Agenda {
    pub(crate) fn new(retries: Retries) -> Self {
        Self { retries, counts: Counts::default(), waiting: Vec::new() }
    }

    /// Adds a job to be started at once. It replaces waiting jobs whose work it does.
    pub(crate) fn add(&mut self, job: Job, now: Instant) {
        self.waiting.retain(|it| !job.covers(it.attempt.job));
        self.waiting.push(Waiting { attempt: Attempt { job, number: 1, faults: 0 }, not_before: Some(now) });
    }

    /// Adds a due refresh, unless a full refresh is running, which does its work. Returns whether it was added.
    pub(crate) fn due(&mut self, reason: Reason, running: Option<Job>, now: Instant) -> bool {
        let waits = !matches!(running, Some(Job::Refresh(_)));
        if waits {
            self.add(Job::Refresh(reason), now);
        }
        waits
    }

    /// Removes the job of this kind.
    pub(crate) fn drop(&mut self, job: Job) {
        self.waiting.retain(|it| !it.attempt.job.is_like(job));
    }

    /// The waiting attempt at a job of this kind.
    pub(crate) fn waiting(&self, job: Job) -> Option<Attempt> {
        self.waiting.iter().map(|it| it.attempt).find(|it| it.job.is_like(job))
    }

    /// The first retry that waits.
    pub(crate) fn next_retry(&self) -> Option<Attempt> {
        let retries = self.waiting.iter().filter(|it| it.attempt.number > 1);
        retries.min_by_key(|it| (it.not_before.is_none(), it.not_before)).map(|it| it.attempt)
    }

    /// Takes the attempt to start now, if no job is running.
    pub(crate) fn start(&mut self, now: Instant) -> Option<Attempt> {
        let due = self.waiting.iter().position(|it| it.not_before.is_some_and(|at| at <= now))?;
        self.counts.started += 1;
        Some(self.waiting.remove(due).attempt)
    }

    /// When the next attempt may start.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|it| it.not_before).min()
    }

    /// Makes all waiting jobs start at once, since a new configuration may have fixed them.
    pub(crate) fn reloaded(&mut self, retries: Retries, now: Instant) {
        self.retries = retries;
        for it in &mut self.waiting {
            it.not_before = Some(now);
        }
    }

    /// Decides what follows when an attempt has ended.
    pub(crate) fn ended(&mut self, attempt: Attempt, outcome: Outcome, now: Instant, random: f64) -> Next {
        let Attempt { job, number, faults } = attempt;
        self.counts.failed += u64::from(outcome != Outcome::Done);
        let faults = faults + u32::from(outcome == Outcome::Fault);
        match outcome {
            Outcome::Done | Outcome::Invalid => return Next::Finished,
            _ if self.waiting.iter().any(|it| it.attempt.job.covers(job)) => return Next::Superseded,
            Outcome::Fault if faults >= self.retries.attempts => return Next::GiveUp,
            Outcome::Transient | Outcome::Fault | Outcome::Misconfigured => {}
        }
        let pause = (outcome != Outcome::Misconfigured).then(|| self.retries.pause(number, random));
        let retry = Attempt { job, number: number.saturating_add(1), faults };
        self.waiting.push(Waiting { attempt: retry, not_before: pause.map(|pause| now + pause) });
        pause.map_or(Next::RetryAtReload, Next::Retry)
    }
}
