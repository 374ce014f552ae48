//! An answer that is worked out once for all who ask within a time, by the first of them; the others wait for it.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// How long after it was begun and left unfinished, or failed, something is begun anew.
const ABANDONED: Duration = Duration::from_secs(1);

/// What was worked out last.
#[derive(Debug)]
pub(super) struct Fresh<T> {
    /// Since when, and what; nothing while it is worked out, or where whoever worked it out has left.
    kept: Mutex<Option<(Instant, Option<T>)>>,
    lasts: Duration,
    failed: fn(&T) -> bool,
}

impl<T: Clone, E: Clone> Fresh<Result<T, E>> {
    /// Likewise, of what may fail: that lasts no longer than a second.
    pub(super) fn fallible(lasts: Duration) -> Self {
        Self { failed: Result::is_err, ..Self::new(lasts) }
    }
}

impl<T: Clone> Fresh<T> {
    /// Nothing so far; what will be worked out lasts so long.
    pub(super) fn new(lasts: Duration) -> Self {
        Self { kept: Mutex::new(None), lasts, failed: |_| false }
    }

    /// What was worked out less long ago than it lasts, or what `work` gives now. Whoever works it out and leaves before the
    /// end leaves it to the next, who begins a second later at the earliest: those who ask and leave cost no more than others.
    pub(super) async fn get(&self, work: impl Future<Output = T>) -> T {
        let mut kept = self.kept.lock().await;
        match &*kept {
            Some((at, Some(it))) if at.elapsed() < self.lasts_of(it) => return it.clone(),
            Some((at, None)) => sleep_until(*at + self.lasts.min(ABANDONED)).await,
            _ => {}
        }
        // Not held beside the new one.
        *kept = Some((Instant::now(), None));
        let it = work.await;
        *kept = Some((Instant::now(), Some(it.clone())));
        it
    }

    fn lasts_of(&self, it: &T) -> Duration {
        if (self.failed)(it) { self.lasts.min(ABANDONED) } else { self.lasts }
    }

    /// Forgets what is no longer fresh, unless it is being worked out.
    pub(super) fn forget_old(&self) {
        if let Ok(mut kept) = self.kept.try_lock()
            && kept.as_ref().is_some_and(|(at, _)| at.elapsed() >= self.lasts)
        {
            *kept = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test(start_paused = true)]
    async fn fifty_who_ask_cost_as_one() {
        let fresh = Arc::new(Fresh::new(Duration::from_secs(1)));
        let works = Arc::new(AtomicU32::new(0));
        let ask = || {
            let (fresh, works) = (Arc::clone(&fresh), Arc::clone(&works));
            tokio::spawn(async move {
                fresh
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
        fresh.forget_old();
        tokio::time::sleep(Duration::from_millis(1)).await;
        // One that gives up costs nothing but its own.
        let gives_up = ask();
        tokio::time::sleep(Duration::from_millis(100)).await;
        gives_up.abort();
        assert_eq!(ask().await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_is_tried_again_soon() {
        let fresh = Fresh::fallible(Duration::from_mins(1));
        assert_eq!(fresh.get(async { Err::<u32, u32>(1) }).await, Err(1));
        assert_eq!(fresh.get(async { Ok(2) }).await, Err(1));
        tokio::time::sleep(ABANDONED).await;
        assert_eq!(fresh.get(async { Ok(3) }).await, Ok(3));
        tokio::time::sleep(ABANDONED).await;
        assert_eq!(fresh.get(async { Ok(4) }).await, Ok(3));
    }
}
