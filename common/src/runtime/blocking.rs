//! Work that keeps a processor or the disk busy, done in place by no more threads than there is use for.

use std::num::NonZero;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

/// One computes while another waits for the disk.
const PER_CORE: usize = 2;

/// Where such work is done. Without a bound, as many boards as are in flight would each take a thread for it, with its stack
/// and what the allocator keeps for it.
#[derive(Debug)]
pub struct Blocking(Semaphore);

impl Default for Blocking {
    fn default() -> Self {
        Self(Semaphore::new(PER_CORE * available_parallelism().map_or(1, NonZero::get)))
    }
}

impl Blocking {
    /// Does the work when there is a thread to be had, which is once work that came before is done. It is not called off
    /// once it has begun.
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
    async fn no_more_is_at_work_at_a_time_than_threads_are_of_use() {
        let (blocking, now) = (Arc::new(Blocking::default()), Arc::new(AtomicUsize::new(0)));
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
        let mut most = 0;
        for one in all.collect::<Vec<_>>() {
            most = most.max(one.await.unwrap());
        }
        assert!((1..=PER_CORE * available_parallelism().unwrap().get()).contains(&most), "{most}");
    }
}
