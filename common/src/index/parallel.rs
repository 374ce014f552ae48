//! Work spread over threads that are all gone when the call returns.
//!
//! Scoped threads and a counter: the jobs here are few and large, and threads that end give their allocator caches
//! back, which those of a pool would keep. Where the system gives no more threads, those that there are do the work, at
//! last the caller's own.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Lets `threads` threads take the numbers below `jobs` in runs of `run`, each into a state of its own. The first error
/// ends the work. Which thread takes what is left to chance: the result may not depend on it.
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

/// Starts a thread; none where the system gives none.
fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, T>> {
    let started = Builder::new().spawn_scoped(scope, work);
    started.inspect_err(|error| tracing::warn!(%error, "no more threads: working with fewer")).ok()
}

/// What a thread made. A panic in it goes on in the caller, as it would have without threads.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once() {
        for threads in [0, 1, 2, 7] {
            let states = fold(threads, 1000, 16, Vec::new, |done, job| {
                done.push(job);
                Ok::<_, ()>(())
            });
            let mut done: Vec<usize> = states.unwrap().into_iter().flatten().collect();
            done.sort_unstable();
            assert_eq!(done, (0..1000).collect::<Vec<_>>());
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
