//! Work spread over threads that are all gone when the call returns.
//!
//! Scoped threads and a counter: the jobs here are few and large, and threads that end give their allocator caches
//! back, which those of a pool would keep. Where the system gives no more threads, those that there are do the work, at
//! last the caller's own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Mutex, PoisonError};
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

/// Does `work` on each item, each on a thread of its own as far as there are threads. Results are in the order of the items.
pub(super) fn map<I: Send, T: Send, E: Send>(
    items: Vec<I>,
    work: impl Fn(I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let items: Vec<_> = items.into_iter().map(|it| Mutex::new(Some(it))).collect();
    let take = |number: usize| items[number].lock().unwrap_or_else(PoisonError::into_inner).take();
    let done = fold(items.len(), items.len(), 1, Vec::new, |done, number| {
        if let Some(item) = take(number) {
            done.push((number, work(item)?));
        }
        Ok(())
    })?;
    let mut done: Vec<_> = done.into_iter().flatten().collect();
    done.sort_unstable_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect())
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

/// Threads that work on one thing after another, while who hands these out goes on.
#[derive(Debug)]
pub(super) struct Workers<'w, J, R> {
    jobs: Sender<(J, SyncSender<R>)>,
    under_way: VecDeque<Receiver<R>>,
    /// Where there is no thread: what one would do.
    here: Option<Here<'w, J, R>>,
}

/// Does the work where it is handed over.
struct Here<'w, J, R>(&'w dyn Fn(J) -> R);

impl<J, R> std::fmt::Debug for Here<'_, J, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Here")
    }
}

impl<J: Send, R: Send> Workers<'_, J, R> {
    /// Lets `body` hand things to `threads` threads that do `work` on them.
    pub(super) fn with<T>(
        threads: usize,
        work: impl Fn(J) -> R + Sync,
        body: impl FnOnce(&mut Workers<'_, J, R>) -> T,
    ) -> T {
        let (jobs, queue) = mpsc::channel::<(J, SyncSender<R>)>();
        let (queue, work) = (&Mutex::new(queue), &work);
        let serve = move || {
            // Who waits holds the lock: the others wait for that.
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            while let Ok((job, result)) = next() {
                // Nobody waits for it where the body has ended with an error.
                let _nobody = result.send(work(job));
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads.max(1)).map_while(|_| start(scope, serve)).collect();
            let here = if threads.is_empty() { Some(Here(work as &dyn Fn(J) -> R)) } else { None };
            let mut workers = Workers { jobs, under_way: VecDeque::new(), here };
            let result = body(&mut workers);
            drop(workers);
            threads.into_iter().for_each(joined);
            result
        })
    }

    /// Hands over a job. How many may be under way is the caller's to say.
    pub(super) fn put(&mut self, job: J) {
        let (result, receiver) = mpsc::sync_channel(1);
        self.under_way.push_back(receiver);
        if let Some(Here(work)) = &self.here {
            // There is room for one, and the receiver is at hand.
            let _sent = result.send(work(job));
            return;
        }
        // Where all threads have panicked, `take` tells.
        let _panicked = self.jobs.send((job, result));
    }

    /// How many jobs are under way, or done and not taken.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Waits for the job that was put first; `None` where there is none, or its thread has panicked.
    pub(super) fn take(&mut self) -> Option<R> {
        self.under_way.pop_front()?.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once() {
        for threads in [1, 2, 7] {
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

    #[test]
    fn results_come_in_the_order_of_the_jobs_and_a_panic_in_the_caller() {
        for threads in [1, 3] {
            let squares = Workers::with(
                threads,
                |job: u64| job * job,
                |workers| {
                    (0..100).for_each(|job| workers.put(job));
                    std::iter::from_fn(|| workers.take()).collect::<Vec<_>>()
                },
            );
            assert_eq!(squares, (0..100).map(|job| job * job).collect::<Vec<_>>());
        }
        let panicking = || {
            Workers::with(
                1,
                |()| panic!("a worker's"),
                |workers: &mut Workers<(), ()>| {
                    workers.put(());
                    assert_eq!(workers.take(), None);
                },
            );
        };
        assert!(std::panic::catch_unwind(panicking).is_err());
    }
}
