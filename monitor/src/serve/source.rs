//! Sources that may never answer: a disk that hangs, a pipe in place of a file. Each read has a thread of its own, one per source
//! at a time, and a timeout. So a read that hangs delays nothing but its own source, and no second one is started beside it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

/// The timeout of a read. The database waits no longer either.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The stack of the thread: reads are a few calls deep.
const STACK_BYTES: usize = 512 << 10;

/// Why a source could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum ReadError {
    /// It hangs.
    #[error("{0}: no answer within {timeout}", timeout = humantime::format_duration(TIMEOUT))]
    Timeout(&'static str),
    /// The system refuses to start a thread.
    #[error("{0}: cannot start a thread: {1}")]
    NoThread(&'static str, String),
    /// A bug.
    #[error("{0}: reading panicked")]
    Panicked(&'static str),
}

/// A source that one thread at a time may read.
#[derive(Debug)]
pub(super) struct Source {
    name: &'static str,
    permit: Arc<Semaphore>,
}

impl Source {
    /// A source of that name.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, permit: Arc::new(Semaphore::new(1)) }
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Reads the source. The read runs to its end even if nobody waits for it any more.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let until = Instant::now() + TIMEOUT;
        let permit = timeout_at(until, Arc::clone(&self.permit).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(ReadError::Timeout(self.name)) };
        let (sender, receiver) = oneshot::channel();
        let work = move || {
            let value = read();
            // First, so that whoever has the value may read again.
            drop(permit);
            let _nobody_waits = sender.send(value);
        };
        let thread = std::thread::Builder::new().name(self.name.into()).stack_size(STACK_BYTES).spawn(work);
        thread.map_err(|error| ReadError::NoThread(self.name, error.to_string()))?;
        match timeout_at(until, receiver).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(ReadError::Panicked(self.name)),
            Err(_) => Err(ReadError::Timeout(self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::channel;

    #[tokio::test(start_paused = true)]
    async fn a_read_that_hangs_delays_its_source_only_and_is_not_started_twice() {
        let (stuck, other) = (Source::new("disk"), Source::new("kernel"));
        let (looking, is_looking) = channel();
        let (end, ended) = channel::<()>();
        let looks = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&looks);
        let hangs = stuck.read(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            looking.send(()).unwrap();
            ended.recv().unwrap_err();
        });
        assert_eq!(hangs.await.unwrap_err().to_string(), "disk: no answer within 3s");
        is_looking.recv_timeout(Duration::from_mins(1)).unwrap();
        for _ in 0..5 {
            let counted = Arc::clone(&looks);
            let next = stuck.read(move || counted.fetch_add(1, Ordering::Relaxed));
            assert!(matches!(next.await, Err(ReadError::Timeout("disk"))));
        }
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        tokio::time::resume();
        assert_eq!(other.read(|| 7).await.unwrap(), 7);
        drop(end);
        assert_eq!(stuck.read(|| 8).await.unwrap(), 8, "it goes on when it can");
        assert!(matches!(other.read(|| panic!("on purpose")).await, Err(ReadError::Panicked("kernel"))));
        assert_eq!(other.read(|| 9).await.unwrap(), 9);
    }
}
