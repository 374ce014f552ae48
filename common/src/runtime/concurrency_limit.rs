//! How many boards may be in flight: a number that the memory limiter lowers and raises, and fetching workers obey.

use tokio::sync::watch;

/// A number that workers consult before each board. Clones share it.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit(watch::Sender<usize>);

impl ConcurrencyLimit {
    /// So many boards to begin with.
    #[must_use]
    pub fn new(boards: usize) -> Self {
        Self(watch::Sender::new(boards))
    }

    /// How many boards may be in flight now.
    #[must_use]
    pub fn boards(&self) -> usize {
        *self.0.borrow()
    }

    /// From now on, so many. Those who wait to be allowed look again; boards in flight stay in flight.
    pub fn set(&self, boards: usize) {
        self.0.send_replace(boards);
    }

    /// Returns when the worker of that number, counted from 0, may take a board: at once where it may already. Nothing is
    /// lost by calling it off.
    pub async fn wait_for_slot(&self, worker: usize) {
        let mut changes = self.0.subscribe();
        // It cannot close: this is one of its senders.
        let _changed = changes.wait_for(|boards| worker < *boards).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn workers_beyond_the_number_wait_until_it_is_raised() {
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
