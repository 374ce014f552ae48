//! A value that the first caller computes and that all callers share for a time; others wait meanwhile.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// The pause before an abandoned or failed computation is retried.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The value that was computed last.
#[derive(Debug)]
pub(super) struct TtlCache<T> {
    /// When it was computed, and the value; no value during a computation, or after one was abandoned.
    value: Mutex<Option<(Instant, Option<T>)>>,
    ttl: Duration,
    failed: fn(&T) -> bool,
}

impl<T: Clone, E: Clone> TtlCache<Result<T, E>> {
    /// A cache of results, in which errors expire within a second.
    pub(super) fn fallible(ttl: Duration) -> Self {
        Self { failed: Result::is_err, ..Self::new(ttl) }
    }
}

impl<T: Clone> TtlCache<T> {
    /// An empty cache, whose values expire after that time.
    pub(super) fn new(ttl: Duration) -> Self {
        Self { value: Mutex::new(None), ttl, failed: |_| false }
    }

    /// The cached value, or the result of `compute` if it has expired. If a caller is cancelled while it computes, the next one
    /// starts over, but at least a second later: clients that disconnect cost no more than others.
    pub(super) async fn get(&self, compute: impl Future<Output = T>) -> T {
        let mut value = self.value.lock().await;
        match &*value {
            Some((at, Some(it))) if at.elapsed() < self.ttl_of(it) => return it.clone(),
            Some((at, None)) => sleep_until(*at + self.ttl.min(RETRY_AFTER)).await,
            _ => {}
        }
        // Frees the old value first.
        *value = Some((Instant::now(), None));
        let it = compute.await;
        *value = Some((Instant::now(), Some(it.clone())));
        it
    }

    fn ttl_of(&self, it: &T) -> Duration {
        if (self.failed)(it) { self.ttl.min(RETRY_AFTER) } else { self.ttl }
    }

    /// Frees an expired value.
    pub(super) fn evict_expired(&self) {
        if let Ok(mut value) = self.value.try_lock()
            && value.as_ref().is_some_and(|(at, _)| at.elapsed() >= self.ttl)
        {
            *value = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test(start_paused = true)]
    async fn fifty_callers_cost_as_much_as_one() {
        let cache = Arc::new(TtlCache::new(Duration::from_secs(1)));
        let works = Arc::new(AtomicU32::new(0));
        let ask = || {
            let (cache, works) = (Arc::clone(&cache), Arc::clone(&works));
            tokio::spawn(async move {
                cache
                    .get(async {
                        tokio::time::sleep(Duration::from_millis(300)).await;
                        works.fetch_add(1, Ordering::Relaxed) + 1
                    })
                    .await
            })
        };
        let asking: Vec<_> = (0..50).map(|_| ask()).collect();
        for answer in asking {
            assert_eq!(answer.await.unwrap(), 1);
        }
        tokio::time::sleep(Duration::from_millis(999)).await;
        assert_eq!(ask().await.unwrap(), 1);
        cache.evict_expired();
        tokio::time::sleep(Duration::from_millis(1)).await;
        // A cancelled caller only discards its own computation.
        let gives_up = ask();
        tokio::time::sleep(Duration::from_millis(100)).await;
        gives_up.abort();
        assert_eq!(ask().await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_retried_soon() {
        let cache = TtlCache::fallible(Duration::from_mins(1));
        assert_eq!(cache.get(async { Err::<u32, u32>(1) }).await, Err(1));
        assert_eq!(cache.get(async { Ok(2) }).await, Err(1));
        tokio::time::sleep(RETRY_AFTER).await;
        assert_eq!(cache.get(async { Ok(3) }).await, Ok(3));
        tokio::time::sleep(RETRY_AFTER).await;
        assert_eq!(cache.get(async { Ok(4) }).await, Ok(3));
    }
}
