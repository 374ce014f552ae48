//! Looking at what may never answer: a disk that hangs, a pipe where a file belongs. Each source has a thread of its own, one at a
//! time, and nobody waits for it longer than a bound: a look that hangs holds up nothing but its own source, and no second one
//! is begun beside it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

/// How long a look may take. The database is waited for no longer either.
const PATIENCE: Duration = Duration::from_secs(3);

/// The thread's stack: it walks through no more than a few calls.
const STACK_BYTES: usize = 512 << 10;

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum NoLook {
    /// It hangs.
    #[error("{0}: no answer within {patience}", patience = humantime::format_duration(PATIENCE))]
    Hangs(&'static str),
    /// The system gives no thread.
    #[error("{0}: no thread to look with: {1}")]
    NoThread(&'static str, String),
    /// A fault of ours.
    #[error("{0}: looking panicked")]
    Panicked(&'static str),
}

/// A source that is looked at, by one at a time.
#[derive(Debug)]
pub(super) struct Source {
    name: &'static str,
    turn: Arc<Semaphore>,
}

impl Source {
    /// One that nobody looks at yet.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, turn: Arc::new(Semaphore::new(1)) }
    }

    /// What it is called.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// What is seen there. The look goes on to its end also where nobody waits for it any more.
    ///
    /// # Errors
    /// When it takes too long, or one before it does.
    pub(super) async fn look<T: Send + 'static>(&self, look: impl FnOnce() -> T + Send + 'static) -> Result<T, NoLook> {
        let until = Instant::now() + PATIENCE;
        let turn = timeout_at(until, Arc::clone(&self.turn).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(NoLook::Hangs(self.name)) };
        let (found, answer) = oneshot::channel();
        let work = move || {
            let seen = look();
            // Before the answer is had, so that whoever has it may look again.
            drop(turn);
            let _nobody_waits = found.send(seen);
        };
        let thread = std::thread::Builder::new().name(self.name.into()).stack_size(STACK_BYTES).spawn(work);
        thread.map_err(|error| NoLook::NoThread(self.name, error.to_string()))?;
        match timeout_at(until, answer).await {
            Ok(Ok(seen)) => Ok(seen),
            Ok(Err(_)) => Err(NoLook::Panicked(self.name)),
            Err(_) => Err(NoLook::Hangs(self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::channel;

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_holds_up_nothing_but_its_source_and_is_not_begun_twice() {
        let (stuck, other) = (Source::new("disk"), Source::new("kernel"));
        let (looking, is_looking) = channel();
        let (end, ended) = channel::<()>();
        let looks = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&looks);
        let hangs = stuck.look(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            looking.send(()).unwrap();
            ended.recv().unwrap_err();
        });
        assert_eq!(hangs.await.unwrap_err().to_string(), "disk: no answer within 3s");
        is_looking.recv_timeout(Duration::from_mins(1)).unwrap();
        for _ in 0..5 {
            let counted = Arc::clone(&looks);
            let next = stuck.look(move || counted.fetch_add(1, Ordering::Relaxed));
            assert!(matches!(next.await, Err(NoLook::Hangs("disk"))));
        }
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        tokio::time::resume();
        assert_eq!(other.look(|| 7).await.unwrap(), 7);
        drop(end);
        assert_eq!(stuck.look(|| 8).await.unwrap(), 8, "it goes on when it can");
        assert!(matches!(other.look(|| panic!("on purpose")).await, Err(NoLook::Panicked("kernel"))));
        assert_eq!(other.look(|| 9).await.unwrap(), 9);
    }
}
