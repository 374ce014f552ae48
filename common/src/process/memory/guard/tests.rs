//! A guard that sees what the test wants it to see, and one that sees what is.

use super::*;
use crate::process::memory::Figures;
use crate::process::memory::limit::Origin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const LONG: Duration = Duration::from_secs(10);
const MB: u64 = 1 << 20;

fn limit() -> Limit {
    Limit { bytes: 100 * MB, origin: Origin::Configured }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "never came: {what}");
        std::thread::yield_now();
    }
}

fn purged() -> Purged {
    Purged { before: Figures::default(), after: Figures::default(), took: Duration::ZERO, workers: 0 }
}

/// A guard that looks every millisecond at a figure that the test sets; purges are counted.
struct World {
    rss: Arc<AtomicU64>,
    purges: Arc<AtomicUsize>,
    stop: CancellationToken,
    guard: Guard,
}

impl World {
    fn new(rss_bytes: u64) -> Self {
        let (rss, purges) = (Arc::new(AtomicU64::new(rss_bytes)), Arc::new(AtomicUsize::new(0)));
        let stop = CancellationToken::new();
        let means = Means {
            every: Duration::from_millis(1),
            rss: Box::new({
                let rss = Arc::clone(&rss);
                move || Ok(rss.load(Ordering::SeqCst))
            }),
            purge: Arc::new({
                let purges = Arc::clone(&purges);
                move || {
                    purges.fetch_add(1, Ordering::SeqCst);
                    Ok(purged())
                }
            }),
        };
        let guard = Guard::start_with(Some(limit()), 8, stop.clone(), means).unwrap();
        Self { rss, purges, stop, guard }
    }
}

#[test]
fn it_purges_then_allows_fewer_boards_then_stops_and_says_why() {
    let world = World::new(76 * MB);
    until("a purge", || world.purges.load(Ordering::SeqCst) == 1);
    assert_eq!(world.guard.allowance().boards(), 8);
    world.rss.store(86 * MB, Ordering::SeqCst);
    until("fewer boards", || world.guard.allowance().boards() == 4);
    assert!(!world.stop.is_cancelled() && world.guard.reached().is_none());
    world.rss.store(101 * MB, Ordering::SeqCst);
    until("a stop", || world.stop.is_cancelled());
    assert_eq!(world.guard.allowance().boards(), 1);
    let reached = world.guard.reached().unwrap().to_string();
    assert_eq!(reached, "the memory limit of 100 MB by memory.limit_mb is reached: 101 MB are resident");
}

#[test]
fn it_ends_when_it_is_dropped() {
    let world = World::new(0);
    let stop = world.stop.clone();
    drop(world);
    assert!(!stop.is_cancelled());
}

#[test]
fn a_purge_that_takes_long_does_not_keep_it_from_looking() {
    let (looked, at_work) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (end, ended) = channel::<()>();
    let ended = std::sync::Mutex::new(ended);
    let means = Means {
        every: Duration::from_millis(1),
        rss: Box::new({
            let looked = Arc::clone(&looked);
            move || {
                looked.fetch_add(1, Ordering::SeqCst);
                Ok(80 * MB)
            }
        }),
        purge: Arc::new({
            let at_work = Arc::clone(&at_work);
            move || {
                at_work.fetch_add(1, Ordering::SeqCst);
                ended.lock().unwrap().recv().unwrap_err();
                Ok(purged())
            }
        }),
    };
    let guard = Guard::start_with(Some(limit()), 1, CancellationToken::new(), means).unwrap();
    until("a purge", || at_work.load(Ordering::SeqCst) == 1);
    let before = looked.load(Ordering::SeqCst);
    until("more looks", || looked.load(Ordering::SeqCst) > before + 10);
    drop(end);
    drop(guard);
    assert_eq!(at_work.load(Ordering::SeqCst), 1);
}

#[test]
fn without_a_limit_there_is_no_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let guard = Guard::start(None, 4, runtime.handle().clone(), CancellationToken::new()).unwrap();
    assert!(guard.thread.is_none());
    assert_eq!(guard.allowance().boards(), 4);
}

#[test]
fn the_real_figure_is_looked_at() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let stop = CancellationToken::new();
    let wide = Limit { bytes: 1 << 40, origin: Origin::Configured };
    let guard = Guard::start(Some(wide), 4, runtime.handle().clone(), stop.clone()).unwrap();
    drop(guard);
    assert!(!stop.is_cancelled());
    // One that no program fits in.
    let narrow = Limit { bytes: MB, origin: Origin::Configured };
    let guard = Guard::start(Some(narrow), 4, runtime.handle().clone(), stop.clone()).unwrap();
    until("a stop", || stop.is_cancelled());
    assert!(guard.reached().is_some_and(|it| it.rss_bytes > MB));
}
