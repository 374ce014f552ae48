//! Keeping a process below its limits: samples the kernel's figures, and does what the [`PressurePolicy`] says.
//!
//! A thread of its own, so that no work keeps it from looking; purges run on another, since one that takes long would
//! keep it too, and a process was once killed for that. Without a limit there is no thread at all.

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

/// How often the kernel is asked.
const EVERY: Duration = Duration::from_millis(100);

/// A limit was reached: why the process was told to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached(pub Used);

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory limit reached: {}", self.0)
    }
}

/// Keeps this process below its limits until it is dropped.
#[derive(Debug)]
pub struct MemoryLimiter {
    concurrency: ConcurrencyLimit,
    reached: Arc<OnceLock<Reached>>,
    /// Dropped at the end: tells the thread to end.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MemoryLimiter {
    /// Begins to look, if there is a limit. Purges reach the workers of `runtime`; `stop` is cancelled where nothing else
    /// helps.
    ///
    /// # Errors
    /// When the system gives no thread.
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
        Self::start_with(role, stop, Means { every: EVERY, usage, purge: Arc::new(move || purge_all(&runtime)) })
    }

    fn start_with(role: Role, stop: CancellationToken, means: Means) -> io::Result<Self> {
        let concurrency = ConcurrencyLimit::new(role.boards());
        let reached = Arc::new(OnceLock::new());
        let mut watch = Watch {
            ladder: PressurePolicy::new(role),
            concurrency: concurrency.clone(),
            reached: Arc::clone(&reached),
            stop,
            purging: None,
            blind: false,
            means,
        };
        let (alive, ended) = channel();
        let thread = std::thread::Builder::new().name("memory-guard".into()).spawn(move || watch.run(&ended))?;
        Ok(Self { concurrency, reached, alive: Some(alive), thread: Some(thread) })
    }

    /// How many boards may be in flight.
    #[must_use]
    pub fn concurrency(&self) -> &ConcurrencyLimit {
        &self.concurrency
    }

    /// Why it told the process to stop, if it did: exit code 75.
    #[must_use]
    pub fn reached(&self) -> Option<&Reached> {
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

/// How the guard sees and acts.
struct Means {
    every: Duration,
    usage: Box<dyn FnMut() -> Result<Usage, MemoryError> + Send>,
    purge: Arc<dyn Fn() -> Result<Purged, MemoryError> + Send + Sync>,
}

/// The thread's own.
struct Watch {
    ladder: PressurePolicy,
    concurrency: ConcurrencyLimit,
    reached: Arc<OnceLock<Reached>>,
    stop: CancellationToken,
    purging: Option<JoinHandle<()>>,
    /// Whether the kernel did not answer the last time.
    blind: bool,
    means: Means,
}

impl Watch {
    fn run(&mut self, ended: &Receiver<()>) {
        let begun = Instant::now();
        loop {
            self.look(begun.elapsed());
            if ended.recv_timeout(self.means.every) != Err(RecvTimeoutError::Timeout) {
                break;
            }
        }
        self.join_purge();
    }

    fn look(&mut self, at: Duration) {
        let usage = match (self.means.usage)() {
            Ok(usage) => {
                self.blind = false;
                usage
            }
            Err(error) => {
                if !std::mem::replace(&mut self.blind, true) {
                    tracing::error!(%error, "the memory limit cannot be kept");
                }
                return;
            }
        };
        if self.purging.as_ref().is_some_and(JoinHandle::is_finished) {
            self.join_purge();
        }
        let group = usage.group().map_or(0, Used::percent);
        let sample = Sample { at, own: usage.own.percent(), group, purging: self.purging.is_some() };
        let step = self.ladder.step(sample);
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
            Step::StopOrderly => {
                let reached = Reached(nearest.clone());
                tracing::error!(used_mb, %limit, percent, "{reached}: stopping in order");
                // It is told once, so it is set once.
                self.reached.get_or_init(|| reached);
                self.stop.cancel();
            }
        }
    }

    fn purge(&mut self) {
        if self.purging.is_some() {
            // Still at the one before.
            return;
        }
        let purge = Arc::clone(&self.means.purge);
        let work = move || match purge() {
            Ok(it) => {
                let (before_mb, after_mb) = (mb(it.before.rss_bytes), mb(it.after.rss_bytes));
                let took_ms = it.took.as_millis();
                tracing::info!(before_mb, after_mb, took_ms, "purged near the memory limit");
            }
            Err(error) => tracing::warn!(%error, "no purge"),
        };
        match std::thread::Builder::new().name("purge".into()).spawn(work) {
            Ok(thread) => self.purging = Some(thread),
            Err(error) => tracing::warn!(%error, "no thread to purge on"),
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
