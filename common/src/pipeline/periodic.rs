//! Something done from time to time while something else goes on, and that ends with it.
//!
//! The older program's periodic indexing waited on its ticker for ever after the fetch was over. Here the task has an
//! owner, whose `stop` returns only when the task is gone.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A running periodic task. It has to be stopped: dropping it cancels it, but waits for nothing.
#[derive(Debug)]
pub struct Periodic {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Periodic {
    /// Does `work` every `every`, on a thread where it may block. The work gets the token that ends it, and is never done
    /// twice at a time. At the end the task says `farewell`.
    pub fn start(
        tracker: &TaskTracker,
        stop: &CancellationToken,
        every: Duration,
        farewell: &'static str,
        work: impl Fn(&CancellationToken) + Clone + Send + 'static,
    ) -> Self {
        let stop = stop.child_token();
        let task = {
            let (stop, tracker_of_work) = (stop.clone(), tracker.clone());
            tracker.spawn(async move {
                while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
                    let (work, stop) = (work.clone(), stop.clone());
                    if tracker_of_work.spawn_blocking(move || work(&stop)).await.is_err() {
                        tracing::error!("a periodic task panicked");
                        break;
                    }
                }
                tracing::info!("{farewell}");
            })
        };
        Self { stop, task }
    }

    /// Ends the task and waits until it is gone.
    pub async fn stop(self) {
        self.stop.cancel();
        if self.task.await.is_err() {
            tracing::error!("a periodic task panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn it_works_again_and_again_and_is_gone_when_stopped() {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let (count, third) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
        let work = {
            let (count, third) = (Arc::clone(&count), Arc::clone(&third));
            move |_: &CancellationToken| {
                if count.fetch_add(1, Ordering::SeqCst) == 2 {
                    third.notify_one();
                }
            }
        };
        let periodic = Periodic::start(&tracker, &stop, Duration::from_millis(1), "bye", work);
        tokio::time::timeout(Duration::from_secs(10), third.notified()).await.unwrap();
        periodic.stop().await;
        assert!(tracker.is_empty());
        assert!(!stop.is_cancelled(), "only its own token is cancelled");
    }

    #[tokio::test]
    async fn one_that_never_came_to_work_ends_at_once() {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let periodic = Periodic::start(&tracker, &stop, Duration::from_hours(1), "bye", |_| unreachable!());
        tokio::time::timeout(Duration::from_secs(10), periodic.stop()).await.unwrap();
        assert!(tracker.is_empty());
    }
}
