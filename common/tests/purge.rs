//! A purge reaches what parked workers keep in their caches, and figures are what jemalloc prints itself. A test binary of
//! its own with one test: other threads would disturb the figures.

#![expect(clippy::unwrap_used, reason = "all of this file is a test")]

use std::sync::{Arc, Barrier};

use r3e_common::runtime::memory::{figures, purge, purge_all};

const WORKERS: usize = 2;

/// Compares the figures with the statistics that jemalloc prints, within 2 %.
fn figures_are_what_jemalloc_prints() {
    let held: Vec<Vec<u8>> = (0..4000).map(|_| vec![1; 5000]).collect();
    // What is printed is allocated too: in one piece, made before.
    let mut printed = Vec::with_capacity(1 << 20);
    let mut options = jemalloc_ctl::stats_print::Options::default();
    (options.json_format, options.skip_per_arena, options.skip_mutex_statistics) = (true, true, true);
    let figures = figures().unwrap();
    jemalloc_ctl::stats_print::stats_print(&mut printed, options).unwrap();
    let printed: serde_json::Value = serde_json::from_slice(&printed).unwrap();
    for (key, ours) in [
        ("allocated", figures.allocated_bytes),
        ("active", figures.active_bytes),
        ("metadata", figures.metadata_bytes),
        ("resident", figures.resident_bytes),
        ("mapped", figures.mapped_bytes),
        ("retained", figures.retained_bytes),
    ] {
        let theirs = printed["jemalloc"]["stats"][key].as_u64().unwrap();
        // What is printed goes through a buffer of 64 KiB of jemalloc's own (`STATS_PRINT_BUFSIZE`), which is metadata.
        let buffer = if key == "metadata" { 68 << 10 } else { 0 };
        assert!(ours.abs_diff(theirs) <= theirs / 50 + buffer, "{key}: {ours}, printed {theirs}");
    }
    assert!(held.iter().all(|it| it.len() == 5000));
}

#[test]
fn what_parked_workers_keep_is_given_back_and_figures_are_right() {
    figures_are_what_jemalloc_prints();

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
    // A machine that is busy with other things may not come to the workers in time.
    let mut tries = (0..100).map(|_| purge_all(runtime.handle()).unwrap());
    let purged = tries.find(|it| it.workers == WORKERS).unwrap();
    assert!(kept(purged.after.thread_cache_bytes) < full / 4, "{full} {purged:?}");
    assert!(purged.after.purges >= 3);
}
