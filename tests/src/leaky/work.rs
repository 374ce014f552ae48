//! Work that allocates and frees, as in jobs: on the runtime's workers, on blocking threads, and on dedicated threads. Some
//! of it is still running when the process is measured.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use fastrand::Rng;
use r3e_common::runtime::tasks::Tasks;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::leak::pieces;

/// In one of so many cycles some work is still at it afterwards.
const HELD_EVERY: usize = 20;

/// The work of a cycle.
#[derive(Debug)]
pub(super) struct Load {
    bytes: usize,
    tasks: Tasks,
    /// Ends what is still at work.
    held: Option<oneshot::Sender<()>>,
}

impl Load {
    pub(super) fn new(bytes: usize, tasks: Tasks) -> Self {
        Self { bytes, tasks, held: None }
    }

    pub(super) fn cycle(&mut self, random: &mut Rng) -> io::Result<()> {
        self.held = None;
        if self.bytes == 0 {
            return Ok(());
        }
        let workers = 2 + random.usize(..=2);
        let blocking = 1 + random.usize(..=2);
        let own = 2;
        let share = random.usize(..=self.bytes) / (workers + blocking + own);
        let (mut jobs, mut on_threads) = (Vec::new(), Vec::new());
        for _one in 0..workers {
            let mut random = random.fork();
            jobs.push(self.tasks.spawn("working", async move { work(share, &mut random) }));
        }
        for _one in 0..blocking {
            let mut random = random.fork();
            on_threads.push(self.tasks.spawn_blocking("blocking", move || work(share, &mut random)));
        }
        std::thread::scope(|scope| {
            for _one in 0..own {
                let mut random = random.fork();
                scope.spawn(move || work(share, &mut random));
            }
        });
        Handle::current().block_on(async {
            for job in jobs {
                job.await.map_err(io::Error::other)?;
            }
            for job in on_threads {
                job.await.map_err(io::Error::other)?;
            }
            Ok::<_, io::Error>(())
        })?;
        if random.usize(..HELD_EVERY) == 0 {
            let (end, ended) = oneshot::channel();
            self.held = Some(end);
            let held = pieces(random.usize(..=self.bytes), random);
            // It is there as long as it is waited for.
            let _at_work = self.tasks.spawn("still at it", async move {
                let _ended = ended.await;
                drop(held);
            });
        }
        Ok(())
    }
}

/// Allocates so much, uses it, and frees it.
fn work(bytes: usize, random: &mut Rng) -> u64 {
    let mut pieces = pieces(bytes, random);
    pieces.sort_unstable_by_key(Vec::len);
    pieces.iter().map(|it| u64::from(it[0])).sum()
}

/// A thread that is at work all the time.
#[derive(Debug)]
pub(super) struct Busy {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Busy {
    pub(super) fn start(bytes: usize, mut random: Rng) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let at_work = move || {
            while !told.load(Ordering::Relaxed) {
                let share = random.usize(..=bytes);
                std::hint::black_box(work(share, &mut random));
            }
        };
        let thread = if bytes == 0 { None } else { Some(std::thread::Builder::new().spawn(at_work)?) };
        Ok(Self { stop, thread })
    }

    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread {
            // A panic of it has been told.
            let _ended = thread.join();
        }
    }
}
