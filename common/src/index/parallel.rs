//! Spreads work over scoped threads, which have all ended when the call returns.
//!
//! Scoped threads and a counter are enough, since the jobs are few and large; and unlike pool threads, they free their
//! allocator caches when they end. If the system refuses a thread, the work is done by those that did start, or, if there
//! are none, by the calling thread.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Processes the numbers below `jobs` on up to `threads` threads, in runs of `run`, with one state per thread. The first
/// error stops the work. The result must not depend on which thread processes which number.
pub(super) fn fold<S: Send, E: Send>(
    threads: usize,
    jobs: usize,
    run: usize,
    new: impl Fn() -> S + Sync,
    step: impl Fn(&mut S, usize) -> Result<(), E> + Sync,
) -> Result<Vec<S>, E> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = || {
        let mut state = new();
        while !failed.load(Ordering::Relaxed) {
            let first = next.fetch_add(run, Ordering::Relaxed);
            if first >= jobs {
                break;
            }
            for job in first..jobs.min(first + run) {
                if let Err(error) = step(&mut state, job) {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(state)
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map_while(|_| start(scope, work)).collect();
        let mut states = vec![work()];
        for thread in others {
            states.push(joined(thread));
        }
        states.into_iter().collect()
    })
}

/// Starts a thread; `None` if the system refuses.
fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, T>> {
    let started = Builder::new().spawn_scoped(scope, work);
    started.inspect_err(|error| tracing::warn!(%error, "no more threads: working with fewer")).ok()
}

/// Joins a thread and returns its result. A panic is propagated to the caller.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once() {
        const JOBS: usize = if cfg!(miri) { 100 } else { 1000 };
        for threads in [0, 1, 2, 7] {
            let states = fold(threads, JOBS, 16, Vec::new, |done, job| {
                done.push(job);
                Ok::<_, ()>(())
            });
            let mut done: Vec<usize> = states.unwrap().into_iter().flatten().collect();
            done.sort_unstable();
            assert_eq!(done, (0..JOBS).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_ends_the_work() {
        let count = AtomicUsize::new(0);
        let result = fold(
            2,
            1_000_000,
            1,
            || (),
            |(), job| {
                count.fetch_add(1, Ordering::Relaxed);
                if job == 10 { Err("ten") } else { Ok(()) }
            },
        );
        assert_eq!(result, Err("ten"));
        assert!(count.load(Ordering::Relaxed) < 1_000_000);
    }
}
