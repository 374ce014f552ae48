//! How many boards may be in flight. The memory limiter changes the number, and the fetching workers obey it.

use tokio::sync::watch;

/// The number of boards that may be in flight. Clones share it.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit(watch::Sender<usize>);

impl ConcurrencyLimit {
    /// Starts with that many boards.
    #[must_use]
    pub fn new(boards: usize) -> Self {
        Self(watch::Sender::new(boards))
    }

    /// How many boards may be in flight now.
    #[must_use]
    pub fn boards(&self) -> usize {
        *self.0.borrow()
    }

    /// Changes the number. Boards already in flight continue.
    pub fn set(&self, boards: usize) {
        self.0.send_replace(boards);
    }

    /// Waits until the worker with that number, from 0, may take a board. Cancel safe.
    pub async fn wait_for_slot(&self, worker: usize) {
        let mut changes = self.0.subscribe();
        // It cannot close, since `self` is a sender.
        let _changed = changes.wait_for(|boards| worker < *boards).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn workers_beyond_the_limit_wait_until_it_is_raised() {
        let concurrency = ConcurrencyLimit::new(4);
        let allowed = |worker| {
            let concurrency = concurrency.clone();
            async move { tokio::time::timeout(Duration::from_secs(1), concurrency.wait_for_slot(worker)).await.is_ok() }
        };
        assert!(allowed(3).await && !allowed(4).await);
        concurrency.clone().set(1);
        assert_eq!(concurrency.boards(), 1);
        assert!(allowed(0).await && !allowed(1).await && !allowed(3).await);
        let waiting = tokio::spawn(allowed(1));
        tokio::task::yield_now().await;
        concurrency.set(2);
        assert!(waiting.await.unwrap());
        concurrency.set(0);
        assert!(!allowed(0).await);
    }
}
