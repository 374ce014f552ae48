//! A limit on work that blocks a thread, on the processor or the disk.

use std::num::NonZero;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

/// One thread computes while another waits for the disk.
const PER_CORE: usize = 2;

/// Limits the threads that do such work. Otherwise each board in flight could occupy one, with its stack and allocator cache.
#[derive(Debug)]
pub struct BlockingLimit(Semaphore);

impl Default for BlockingLimit {
    fn default() -> Self {
        Self(Semaphore::new(PER_CORE * available_parallelism().map_or(1, NonZero::get)))
    }
}

impl BlockingLimit {
    /// Waits for a permit, then runs the work. The work cannot be cancelled once it has begun.
    ///
    /// # Panics
    /// On a runtime of one thread.
    pub async fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        // The semaphore is never closed.
        let _permit = self.0.acquire().await;
        tokio::task::block_in_place(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_number_of_busy_threads_is_limited() {
        let (blocking, now) = (Arc::new(BlockingLimit::default()), Arc::new(AtomicUsize::new(0)));
        let all = (0..100).map(|_| {
            let (blocking, now) = (Arc::clone(&blocking), Arc::clone(&now));
            tokio::spawn(async move {
                let work = || {
                    let at_work = now.fetch_add(1, Ordering::SeqCst) + 1;
                    std::thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                    at_work
                };
                blocking.run(work).await
            })
        });
        let mut max = 0;
        for one in all.collect::<Vec<_>>() {
            max = max.max(one.await.unwrap());
        }
        assert!((1..=PER_CORE * available_parallelism().unwrap().get()).contains(&max), "{max}");
    }
}
