//! What is to be started next, and what becomes of a job that has ended: pure, with time and chance passed in.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use r3e_common::process::config::Schedule;
use r3e_common::process::exit::Exit;
use tokio::time::Instant;

use crate::job::{Job, Why};

/// How a job came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Done, all boards or most of them.
    Done,
    /// Trying again would end the same way: what it was asked for makes no sense.
    Hopeless,
    /// Trying again would end the same way until the configuration, or the catalogue, is another one.
    Misconfigured,
    /// Somebody else stopped it, in order.
    StoppedByOthers,
    /// It failed, and may do better later.
    Failed,
}

impl Ending {
    /// What this status says; `timed_out` where this process had to stop it.
    pub(crate) fn of(status: ExitStatus, timed_out: bool) -> Self {
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        match code.and_then(Exit::from_code) {
            Some(Exit::Done | Exit::SomeBoardsFailed) => Self::Done,
            _ if timed_out => Self::Failed,
            Some(Exit::Usage) => Self::Hopeless,
            Some(Exit::Configuration) => Self::Misconfigured,
            Some(Exit::Interrupted | Exit::Terminated) => Self::StoppedByOthers,
            Some(Exit::Unexpected | Exit::Unavailable | Exit::Disk | Exit::TryAgain) | None => Self::Failed,
        }
    }
}

/// What a status means, in words.
pub(crate) fn told(status: ExitStatus) -> String {
    let Some(code) = status.code() else {
        let signal = status.signal().unwrap_or_default();
        let name = signal_name(signal);
        return format!("killed by signal {signal} ({name})");
    };
    let why = match u8::try_from(code).ok().and_then(Exit::from_code) {
        Some(Exit::Done) => "done",
        Some(Exit::SomeBoardsFailed) => "done, but some boards failed",
        Some(Exit::Unavailable) => "the service is unavailable",
        Some(Exit::Disk) => "the disk failed",
        Some(Exit::TryAgain) => "another writer is at work, or memory, threads or open files are short",
        Some(Exit::Configuration) => "configuration",
        Some(Exit::Usage) => "usage",
        Some(Exit::Interrupted | Exit::Terminated) => "stopped by a signal",
        Some(Exit::Unexpected) | None => "unexpected",
    };
    format!("exit {code}: {why}")
}

fn signal_name(number: i32) -> &'static str {
    nix::sys::signal::Signal::try_from(number).map_or("unknown", nix::sys::signal::Signal::as_str)
}

/// How often a job that failed is tried, and how long it is waited between tries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tries {
    attempts: u32,
    min: Duration,
    max: Duration,
}

impl Tries {
    pub(crate) fn of(schedule: &Schedule) -> Self {
        Self { attempts: schedule.attempts, min: schedule.backoff_min, max: schedule.backoff_max }
    }

    /// The pause after the n-th try, from 1: doubled each time, at most `max`, and from half of that up to all of it by chance
    /// (0 to 1), so that machines that failed together do not come back together.
    fn pause(self, attempt: u32, chance: f64) -> Duration {
        let whole = self.min.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(self.max);
        whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }
}

/// What was started, and what was not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Jobs that were started, each try by itself.
    pub(crate) started: u64,
    /// Tries that ended in failure.
    pub(crate) failed: u64,
    /// Due runs that were skipped because a job was at work.
    pub(crate) skipped: u64,
}

/// A job that is to be tried again.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Again {
    job: Job,
    attempt: u32,
    at: Instant,
}

/// A job that is to be started now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) job: Job,
    /// The how manieth try, from 1.
    pub(crate) attempt: u32,
}

/// What is to be started.
#[derive(Debug)]
pub(crate) struct Agenda {
    pub(crate) tries: Tries,
    pub(crate) counts: Counts,
    /// What is to be started at once, in this order: at most one of each kind.
    ready: Vec<Job>,
    /// What failed and is to be tried again: at most one of each kind.
    again: Vec<Again>,
}

impl Agenda {
    pub(crate) fn new(tries: Tries) -> Self {
        Self { tries, counts: Counts::default(), ready: Vec::new(), again: Vec::new() }
    }

    /// Asks for a job; one of its kind that is waiting is the same one.
    pub(crate) fn ask(&mut self, job: Job) {
        if matches!(job, Job::Refresh(_)) {
            // A refresh does all that a load does, and a new one what is left of an earlier one.
            self.ready.retain(|it| *it != Job::Load);
            self.again.retain(|it| it.job != Job::Load && !it.job.is_like(job));
        }
        if !self.ready.iter().any(|it| it.is_like(job)) {
            self.ready.push(job);
        }
    }

    /// A run is due. While a job is at work it is skipped, and counted; says whether it was taken.
    pub(crate) fn due(&mut self, why: Why, at_work: bool) -> bool {
        if at_work {
            self.counts.skipped += 1;
        } else {
            self.ask(Job::Refresh(why));
        }
        !at_work
    }

    /// Whether a job that does the same is waiting.
    pub(crate) fn has(&self, job: Job) -> bool {
        let again = self.again.iter().map(|it| it.job);
        self.ready.iter().copied().chain(again).any(|it| it.is_like(job))
    }

    /// What is to be started now, when nothing is at work.
    pub(crate) fn start(&mut self, now: Instant) -> Option<Start> {
        let start = if self.ready.is_empty() {
            let due = self.again.iter().position(|it| it.at <= now)?;
            let Again { job, attempt, .. } = self.again.remove(due);
            Start { job, attempt }
        } else {
            Start { job: self.ready.remove(0), attempt: 1 }
        };
        self.counts.started += 1;
        Some(start)
    }

    /// When there may be something to start.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.again.iter().map(|it| it.at).min()
    }

    /// A job has ended; says after which pause it is tried again, if at all.
    pub(crate) fn ended(&mut self, start: Start, ending: Ending, now: Instant, chance: f64) -> Option<Duration> {
        let Start { job, attempt } = start;
        match ending {
            Ending::Done | Ending::StoppedByOthers => return None,
            Ending::Hopeless | Ending::Misconfigured | Ending::Failed => self.counts.failed += 1,
        }
        if ending != Ending::Failed || attempt >= self.tries.attempts || self.ready.iter().any(|it| it.is_like(job)) {
            return None;
        }
        let pause = self.tries.pause(attempt, chance);
        self.again.retain(|it| !it.job.is_like(job));
        self.again.push(Again { job, attempt: attempt + 1, at: now + pause });
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRIES: Tries = Tries { attempts: 3, min: Duration::from_secs(10), max: Duration::from_mins(1) };

    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn the_whole_table_of_endings() {
        let codes = Exit::ALL.map(|exit| i32::from(exit.code()));
        let line = |status| format!("{:?} - {}", Ending::of(status, false), told(status));
        let mut table: Vec<String> = codes.into_iter().chain([101]).map(|code| line(exited(code))).collect();
        table.push(line(ExitStatus::from_raw(9)));
        table.push(format!("{:?} {:?}", Ending::of(exited(143), true), Ending::of(exited(0), true)));
        insta::assert_snapshot!(table.join("\n"), @"
        Done - exit 0: done
        Failed - exit 1: unexpected
        Hopeless - exit 2: usage
        Done - exit 3: done, but some boards failed
        Failed - exit 69: the service is unavailable
        Failed - exit 74: the disk failed
        Failed - exit 75: another writer is at work, or memory, threads or open files are short
        Misconfigured - exit 78: configuration
        StoppedByOthers - exit 130: stopped by a signal
        StoppedByOthers - exit 143: stopped by a signal
        Failed - exit 101: unexpected
        Failed - killed by signal 9 (SIGKILL)
        Failed Done
        ");
    }

    #[test]
    fn a_failure_is_tried_again_after_a_longer_pause_each_time_and_then_given_up() {
        let (mut agenda, now) = (Agenda::new(TRIES), Instant::now());
        agenda.ask(Job::Load);
        let first = agenda.start(now).unwrap();
        assert_eq!(agenda.ended(first, Ending::Failed, now, 1.0), Some(Duration::from_secs(10)));
        assert_eq!(agenda.start(now), None);
        let later = now + Duration::from_secs(10);
        assert_eq!(agenda.wake(), Some(later));
        let second = agenda.start(later).unwrap();
        assert_eq!(second, Start { job: Job::Load, attempt: 2 });
        assert_eq!(agenda.ended(second, Ending::Failed, later, 0.0), Some(Duration::from_secs(10)));
        let third = agenda.start(later + Duration::from_secs(10)).unwrap();
        assert_eq!(agenda.ended(third, Ending::Failed, later, 0.0), None);
        assert_eq!((agenda.start(later + Duration::from_hours(1)), agenda.wake()), (None, None));
        assert_eq!(agenda.counts, Counts { started: 3, failed: 3, skipped: 0 });
    }

    #[test]
    fn what_cannot_get_better_is_not_tried_again() {
        for ending in [Ending::Hopeless, Ending::Misconfigured, Ending::Done, Ending::StoppedByOthers] {
            let (mut agenda, now) = (Agenda::new(TRIES), Instant::now());
            agenda.ask(Job::Boards);
            let start = agenda.start(now).unwrap();
            assert_eq!(agenda.ended(start, ending, now, 0.5), None, "{ending:?}");
            assert_eq!(agenda.wake(), None, "{ending:?}");
        }
    }

    #[test]
    fn a_due_run_is_skipped_while_a_job_is_at_work_and_replaces_what_waits() {
        let (mut agenda, now) = (Agenda::new(TRIES), Instant::now());
        agenda.ask(Job::Load);
        let load = agenda.start(now).unwrap();
        assert!(!agenda.due(Why::Due, true));
        assert_eq!(agenda.counts.skipped, 1);
        assert!(agenda.ended(load, Ending::Failed, now, 0.5).is_some());
        agenda.ask(Job::Boards);
        assert!(agenda.due(Why::Due, false) && agenda.has(Job::Boards) && !agenda.has(Job::Load));
        let order: Vec<_> =
            std::iter::from_fn(|| agenda.start(now + Duration::from_hours(9))).map(|it| it.job).collect();
        assert_eq!(order, [Job::Boards, Job::Refresh(Why::Due)]);
        assert!(!agenda.has(Job::Boards));
    }

    proptest! {
        /// Whatever is asked for and however jobs end, nothing queues without bound, and each kind waits once at most.
        #[test]
        fn nothing_piles_up(steps in prop::collection::vec((0_u8..5, 0_u8..5, any::<bool>()), 0..200)) {
            let mut agenda = Agenda::new(TRIES);
            let mut now = Instant::now();
            let mut at_work: Option<Start> = None;
            for (asked, ending, end) in steps {
                now += Duration::from_secs(7);
                match asked {
                    0 => agenda.ask(Job::Load),
                    1 => agenda.ask(Job::Boards),
                    2 => agenda.ask(Job::Refresh(Why::Trigger)),
                    _ => { agenda.due(Why::Due, at_work.is_some()); }
                }
                if at_work.is_none() {
                    at_work = agenda.start(now);
                    prop_assert!(at_work.is_none_or(|it| (1..=3).contains(&it.attempt)));
                } else if let (true, Some(start)) = (end, at_work) {
                    let ending = [Ending::Done, Ending::Hopeless, Ending::Misconfigured, Ending::StoppedByOthers, Ending::Failed][usize::from(ending)];
                    agenda.ended(start, ending, now, 0.5);
                    at_work = None;
                }
                prop_assert!(agenda.ready.len() <= 3 && agenda.again.len() <= 3);
            }
        }

        #[test]
        fn pauses_stay_within_their_bounds(attempt in 1_u32..=100, chance in 0.0_f64..=1.0) {
            let pause = TRIES.pause(attempt, chance);
            prop_assert!((TRIES.min / 2..=TRIES.max).contains(&pause), "{pause:?}");
        }
    }
}
