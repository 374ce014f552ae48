//! A purge reaches what parked workers keep in their caches. A test binary of its own: other threads' caches would
//! disturb the figures.

use std::sync::{Arc, Barrier};

use r3e_common::process::memory::{figures, purge, purge_all};

const WORKERS: usize = 2;

#[test]
fn what_parked_workers_keep_is_given_back() {
    // Not told to flush where a thread parks: what is flushed, is flushed by the purge.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().unwrap();
    let others = purge().unwrap().after.thread_cache_bytes;
    let together = Arc::new(Barrier::new(WORKERS));
    let fill_caches = || {
        let together = Arc::clone(&together);
        runtime.spawn(async move {
            together.wait();
            for size in [1 << 10, 2 << 10, 4 << 10, 8 << 10] {
                let held: Vec<Vec<u8>> = (0..500).map(|_| vec![1; size]).collect();
                drop(held);
            }
        })
    };
    let filling: Vec<_> = (0..WORKERS).map(|_| fill_caches()).collect();
    runtime.block_on(async {
        for worker in filling {
            worker.await.unwrap();
        }
    });
    // The test harness's own thread keeps some too, which nobody reaches.
    let kept = |at: u64| at.saturating_sub(others);
    let full = kept(figures().unwrap().thread_cache_bytes);
    let alone = purge().unwrap();
    assert!(kept(alone.after.thread_cache_bytes) > full / 2, "the calling thread's cache alone: {full} {alone:?}");
    let purged = purge_all(runtime.handle()).unwrap();
    assert_eq!(purged.workers, WORKERS);
    assert!(kept(purged.after.thread_cache_bytes) < full / 4, "{full} {purged:?}");
    assert_eq!(purged.after.purges, 3);
}
