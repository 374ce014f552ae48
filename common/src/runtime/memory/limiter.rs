//! Keeps a process below its memory limits: samples the kernel's figures and carries out what the [`PressurePolicy`] decides.
//!
//! It has a thread of its own, so that no other work delays it, and purges on another thread, because a slow purge would delay the next
//! sample. Without a limit there is no thread.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::limit::Limits;
use super::pressure::{PressurePolicy, Role, Sample, Step};
use super::usage::{Usage, Used};
use super::{MemoryError, Purged, mb, purge_all};
use crate::runtime::concurrency_limit::ConcurrencyLimit;

const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

/// The limit that stopped the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitReached(pub Used);

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory limit reached: {}", self.0)
    }
}

/// Keeps this process below its limits until it is dropped.
#[derive(Debug)]
pub struct MemoryLimiter {
    concurrency: ConcurrencyLimit,
    reached: Arc<OnceLock<LimitReached>>,
    /// Dropping it ends the thread.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MemoryLimiter {
    /// Starts sampling if there is a limit. Purges include the workers of `runtime`; `stop` is cancelled as a last resort.
    ///
    /// # Errors
    /// If the system refuses to start a thread.
    pub fn start(limits: Option<Limits>, role: Role, runtime: Handle, stop: CancellationToken) -> io::Result<Self> {
        let Some(limits) = limits else {
            return Ok(Self {
                concurrency: ConcurrencyLimit::new(role.boards()),
                reached: Arc::default(),
                alive: None,
                thread: None,
            });
        };
        let smallest = limits.smallest();
        tracing::info!(limit_mb = mb(smallest.bytes), limit = %smallest, "memory is limited");
        let usage = Box::new(move || limits.usage());
        let purge = Arc::new(move || purge_all(&runtime));
        Self::start_with(role, stop, Hooks { interval: SAMPLE_INTERVAL, usage, purge })
    }

    fn start_with(role: Role, stop: CancellationToken, hooks: Hooks) -> io::Result<Self> {
        let concurrency = ConcurrencyLimit::new(role.boards());
        let reached = Arc::new(OnceLock::new());
        let mut sampler = Sampler {
            policy: PressurePolicy::new(role),
            concurrency: concurrency.clone(),
            reached: Arc::clone(&reached),
            stop,
            purging: None,
            failing: false,
            hooks,
        };
        let (alive, ended) = channel();
        let thread = std::thread::Builder::new().name("memory-limiter".into()).spawn(move || sampler.run(&ended))?;
        Ok(Self { concurrency, reached, alive: Some(alive), thread: Some(thread) })
    }

    /// How many boards may be in flight.
    #[must_use]
    pub fn concurrency(&self) -> &ConcurrencyLimit {
        &self.concurrency
    }

    /// The limit that stopped the process, if one did (exit code 75).
    #[must_use]
    pub fn reached(&self) -> Option<&LimitReached> {
        self.reached.get()
    }
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that keeps the memory limit panicked");
        }
    }
}

/// What a [`Sampler`] needs of the system; tests replace it.
struct Hooks {
    interval: Duration,
    usage: Box<dyn FnMut() -> Result<Usage, MemoryError> + Send>,
    purge: Arc<dyn Fn() -> Result<Purged, MemoryError> + Send + Sync>,
}

/// The state of the limiter's thread.
struct Sampler {
    policy: PressurePolicy,
    concurrency: ConcurrencyLimit,
    reached: Arc<OnceLock<LimitReached>>,
    stop: CancellationToken,
    purging: Option<JoinHandle<()>>,
    /// Whether the last sample failed, so that a failure is logged once.
    failing: bool,
    hooks: Hooks,
}

impl Sampler {
    fn run(&mut self, ended: &Receiver<()>) {
        let begun = Instant::now();
        loop {
            self.sample(begun.elapsed());
            if ended.recv_timeout(self.hooks.interval) != Err(RecvTimeoutError::Timeout) {
                break;
            }
        }
        self.join_purge();
    }

    fn sample(&mut self, at: Duration) {
        let usage = match (self.hooks.usage)() {
            Ok(usage) => usage,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "cannot enforce the memory limit");
                }
                return;
            }
        };
        self.failing = false;
        if self.purging.as_ref().is_some_and(JoinHandle::is_finished) {
            self.join_purge();
        }
        let group = usage.group().map_or(0, Used::percent);
        let sample = Sample { at, own: usage.own.percent(), group, purging: self.purging.is_some() };
        let step = self.policy.step(sample);
        let nearest = usage.nearest();
        let (used_mb, limit, percent) = (mb(nearest.bytes), &nearest.limit, nearest.percent());
        match step {
            Step::None => {}
            Step::Purge => {
                tracing::info!(used_mb, %limit, percent, "near the memory limit: purging");
                self.purge();
            }
            Step::FewerBoards(boards) => {
                tracing::warn!(used_mb, %limit, percent, boards, "near the memory limit: fewer boards in flight");
                self.concurrency.set(boards);
            }
            Step::MoreBoards(boards) => {
                tracing::info!(used_mb, %limit, percent, boards, "below the memory limit: more boards in flight");
                self.concurrency.set(boards);
            }
            Step::Stop => {
                let reached = LimitReached(nearest.clone());
                tracing::error!(used_mb, %limit, percent, "{reached}: stopping in order");
                self.reached.get_or_init(|| reached);
                self.stop.cancel();
            }
        }
    }

    fn purge(&mut self) {
        if self.purging.is_some() {
            return;
        }
        let purge = Arc::clone(&self.hooks.purge);
        let work = move || match purge() {
            Ok(it) => {
                let (before_mb, after_mb) = (mb(it.before.rss_bytes), mb(it.after.rss_bytes));
                let took_ms = it.took.as_millis();
                tracing::info!(before_mb, after_mb, took_ms, "purged near the memory limit");
            }
            Err(error) => tracing::warn!(%error, "cannot purge"),
        };
        match std::thread::Builder::new().name("purge".into()).spawn(work) {
            Ok(thread) => self.purging = Some(thread),
            Err(error) => tracing::warn!(%error, "cannot start a thread to purge"),
        }
    }

    fn join_purge(&mut self) {
        if let Some(thread) = self.purging.take()
            && thread.join().is_err()
        {
            tracing::error!("a purge panicked");
        }
    }
}
