//! Repeats work in the background until its owner stops it; `stop` returns only once the task has ended.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::tasks::{BlockingError, Tasks};

/// When the work is repeated.
#[derive(Debug, Clone)]
pub enum Cadence {
    /// This long after it was last done.
    Every(Duration),
    /// Each time a counter has grown by this much.
    Growth {
        /// The counter.
        of: watch::Receiver<usize>,
        /// By how much.
        by: usize,
    },
}

impl Cadence {
    /// Waits until the work is due; `done_at` is the counter's value when it was last done.
    async fn due(&mut self, done_at: &mut usize) {
        match self {
            Self::Every(every) => tokio::time::sleep(*every).await,
            Self::Growth { of, by } => {
                let next = done_at.saturating_add(*by);
                match of.wait_for(|&now| now >= next).await.map(|now| *now) {
                    Ok(now) => *done_at = now,
                    // The counter is gone.
                    Err(_) => std::future::pending().await,
                }
            }
        }
    }
}

/// Ticks, the first one at once. Missed ticks are skipped.
#[must_use]
pub fn ticks(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

/// A running periodic task. Dropping it cancels it without waiting for its end, and without the closing line.
#[derive(Debug)]
pub struct Periodic {
    stop: DropGuard,
    task: JoinHandle<()>,
    closing: Option<&'static str>,
}

impl Periodic {
    /// Repeats `work`, which may block, and is given a token that is cancelled at the end. [`stop`](Self::stop) logs `closing`, if given.
    #[track_caller]
    pub fn start(
        tasks: &Tasks,
        stop: &CancellationToken,
        mut cadence: Cadence,
        (name, closing): (&'static str, Option<&'static str>),
        work: impl Fn(&CancellationToken) + Clone + Send + 'static,
    ) -> Self {
        let stop = stop.child_token();
        let task = {
            let (stop, blocking_tasks) = (stop.clone(), tasks.clone());
            tasks.spawn(name, async move {
                let mut done_at = 0;
                while stop.run_until_cancelled(cadence.due(&mut done_at)).await.is_some() {
                    let (work, stop) = (work.clone(), stop.clone());
                    match blocking_tasks.spawn_blocking(name, move || work(&stop)).await {
                        Ok(()) => {}
                        Err(BlockingError::NoThread(error)) => {
                            tracing::warn!(name, %error, "cannot start a thread; skipping this round");
                        }
                        Err(error @ BlockingError::Panicked(_)) => {
                            tracing::error!(name, %error, "a periodic task panicked");
                            break;
                        }
                    }
                }
            })
        };
        Self { stop: stop.drop_guard(), task, closing }
    }

    /// Stops the task, waits for it to end, then logs the closing line, so that lines appear in the order in which the owner stops its tasks.
    pub async fn stop(self) {
        drop(self.stop);
        if self.task.await.is_err() {
            tracing::error!("a periodic task panicked");
        }
        if let Some(closing) = self.closing {
            tracing::info!("{closing}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const NAMES: (&str, Option<&str>) = ("test", Some("bye"));

    /// Work that notifies when it was done `times` times.
    fn counting(times: usize) -> (Arc<tokio::sync::Notify>, impl Fn(&CancellationToken) + Clone + Send + 'static) {
        let (count, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
        let notify = Arc::clone(&enough);
        let work = move |_: &CancellationToken| {
            if count.fetch_add(1, Ordering::SeqCst) + 1 == times {
                notify.notify_one();
            }
        };
        (enough, work)
    }

    async fn soon(event: impl Future<Output = ()>) {
        tokio::time::timeout(Duration::from_secs(10), event).await.unwrap();
    }

    #[tokio::test]
    async fn work_is_repeated_until_it_is_stopped() {
        let (tasks, stop, (third, work)) = (Tasks::default(), CancellationToken::new(), counting(3));
        let periodic = Periodic::start(&tasks, &stop, Cadence::Every(Duration::from_millis(1)), NAMES, work);
        soon(third.notified()).await;
        periodic.stop().await;
        assert!(tasks.is_empty());
        assert!(!stop.is_cancelled(), "only its own token is cancelled");
    }

    #[tokio::test]
    async fn work_is_done_each_time_a_counter_has_grown() {
        let (tasks, stop) = (Tasks::default(), CancellationToken::new());
        let (counter, of) = watch::channel(0);
        for (from, to) in [(0, 10), (10, 25)] {
            let (once, work) = counting(1);
            let cadence = Cadence::Growth { of: of.clone(), by: to - from };
            counter.send_replace(from);
            let periodic = Periodic::start(&tasks, &stop, cadence, NAMES, work);
            counter.send_replace(to);
            soon(once.notified()).await;
            periodic.stop().await;
        }
        // Without its counter, the task neither ends by itself nor refuses to end.
        drop(counter);
        let cadence = Cadence::Growth { of, by: 1000 };
        soon(Periodic::start(&tasks, &stop, cadence, NAMES, |_| unreachable!()).stop()).await;
        assert!(tasks.is_empty());
    }

    #[tokio::test]
    async fn a_dropped_task_ends_too() {
        let (tasks, stop) = (Tasks::default(), CancellationToken::new());
        let never = Cadence::Every(Duration::from_hours(1));
        drop(Periodic::start(&tasks, &stop, never, NAMES, |_| unreachable!()));
        soon(tasks.ended()).await;
    }

    #[tokio::test]
    async fn a_waiting_task_ends_at_once() {
        let (tasks, stop) = (Tasks::default(), CancellationToken::new());
        let never = Cadence::Every(Duration::from_hours(1));
        let periodic = Periodic::start(&tasks, &stop, never, NAMES, |_| unreachable!());
        soon(periodic.stop()).await;
        assert!(tasks.is_empty());
    }
}
