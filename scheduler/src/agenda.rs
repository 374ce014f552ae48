//! What is started next, and what becomes of a job that has ended: pure, with time and chance passed in.

mod ending;
#[cfg(test)]
mod tests;

use std::time::Duration;

use r3e_common::runtime::config::Schedule;
use tokio::time::Instant;

use crate::job::{Job, Reason};

pub(crate) use ending::{Ending, describe};

/// When a job that failed is tried again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retries {
    /// So many failures that waiting may not mend end it.
    attempts: u32,
    min: Duration,
    max: Duration,
}

impl Retries {
    pub(crate) fn of(schedule: &Schedule) -> Self {
        Self { attempts: schedule.attempts, min: schedule.backoff_min, max: schedule.backoff_max }
    }

    /// The pause after the n-th try, from 1: doubled each time, and shortened by chance (0 to 1) by up to half, so that machines
    /// that failed together drift apart; at least `min`, at most `max`.
    fn pause(self, attempt: u32, chance: f64) -> Duration {
        let whole = self.min.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(self.max);
        whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0).max(self.min)
    }
}

/// What was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Jobs that were started, each try by itself.
    pub(crate) started: u64,
    /// Tries that ended in failure.
    pub(crate) failed: u64,
}

/// A try of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Try {
    pub(crate) job: Job,
    /// The number of this try, from 1.
    pub(crate) attempt: u32,
    /// How many tries before it failed in a way that waiting may not mend.
    faults: u32,
}

impl Try {
    /// It does the work of a job that has not failed yet.
    pub(crate) fn forget_faults(&mut self) {
        self.faults = 0;
    }
}

/// A try that waits.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Waiting {
    what: Try,
    /// None until the configuration is read again.
    not_before: Option<Instant>,
}

/// What follows from the end of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The job is tried again after this pause.
    Again(Duration),
    /// It is tried again when the configuration is read again.
    AtReload,
    /// It has failed too often.
    GivenUp,
    /// A job waits that does its work.
    Superseded,
    /// It is done, or would end the same way.
    Over,
}

/// The jobs that wait, at most one of each kind.
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

    /// Asks for a job at once. It replaces those that wait and of which it does the work.
    pub(crate) fn ask(&mut self, job: Job, now: Instant) {
        self.waiting.retain(|it| !job.does_the_work_of(it.what.job));
        self.waiting.push(Waiting { what: Try { job, attempt: 1, faults: 0 }, not_before: Some(now) });
    }

    /// A refresh is due. It waits for a job that is at work, but for a full refresh, which makes it unnecessary; says whether it
    /// waits.
    pub(crate) fn due(&mut self, why: Reason, at_work: Option<Job>, now: Instant) -> bool {
        let waits = !matches!(at_work, Some(Job::Refresh(_)));
        if waits {
            self.ask(Job::Refresh(why), now);
        }
        waits
    }

    /// No longer asks for a job of that kind.
    pub(crate) fn drop(&mut self, job: Job) {
        self.waiting.retain(|it| !it.what.job.is_like(job));
    }

    /// The try that waits of a job of that kind.
    pub(crate) fn waiting(&self, job: Job) -> Option<Try> {
        self.waiting.iter().map(|it| it.what).find(|it| it.job.is_like(job))
    }

    /// What waits to be tried again, and comes first.
    pub(crate) fn again(&self) -> Option<Try> {
        let again = self.waiting.iter().filter(|it| it.what.attempt > 1);
        again.min_by_key(|it| (it.not_before.is_none(), it.not_before)).map(|it| it.what)
    }

    /// What is started now, when nothing is at work.
    pub(crate) fn start(&mut self, now: Instant) -> Option<Try> {
        let due = self.waiting.iter().position(|it| it.not_before.is_some_and(|at| at <= now))?;
        self.counts.started += 1;
        Some(self.waiting.remove(due).what)
    }

    /// When there may be something to start.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|it| it.not_before).min()
    }

    /// The configuration was read again, so all that waits may do better now.
    pub(crate) fn reloaded(&mut self, retries: Retries, now: Instant) {
        self.retries = retries;
        for it in &mut self.waiting {
            it.not_before = Some(now);
        }
    }

    /// A try has ended.
    pub(crate) fn ended(&mut self, tried: Try, ending: Ending, now: Instant, chance: f64) -> Next {
        let Try { job, attempt, faults } = tried;
        self.counts.failed += u64::from(ending != Ending::Done);
        let faults = faults + u32::from(ending == Ending::Fault);
        match ending {
            Ending::Done | Ending::Hopeless => return Next::Over,
            _ if self.waiting.iter().any(|it| it.what.job.does_the_work_of(job)) => return Next::Superseded,
            Ending::Fault if faults >= self.retries.attempts => return Next::GivenUp,
            Ending::Transient | Ending::Fault | Ending::Misconfigured => {}
        }
        let pause = (ending != Ending::Misconfigured).then(|| self.retries.pause(attempt, chance));
        let what = Try { job, attempt: attempt.saturating_add(1), faults };
        self.waiting.push(Waiting { what, not_before: pause.map(|pause| now + pause) });
        pause.map_or(Next::AtReload, Next::Again)
    }
}
