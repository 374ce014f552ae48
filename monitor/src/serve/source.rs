//! Sources that may never answer: a disk that hangs, a pipe in place of a file. Each read has a thread of its own, one per source
//! at a time, and a timeout. So a read that hangs delays nothing but its own source, and no second one is started beside it.

use std::sync::Arc;
use std::time::Duration;

use r3e_common::runtime::tasks::{Blocking, BlockingError};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// The timeout of a read. The database waits no longer either.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("{0}: no answer within {timeout}", timeout = humantime::format_duration(TIMEOUT))]
    Timeout(&'static str),
    #[error("{0}: {1}")]
    Failed(&'static str, BlockingError),
}

/// A source that one thread at a time may read.
#[derive(Debug)]
pub(super) struct Source {
    name: &'static str,
    permit: Arc<Semaphore>,
}

impl Source {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, permit: Arc::new(Semaphore::new(1)) }
    }

    /// Reads the source. The read runs to its end even if nobody waits for it any more.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let until = Instant::now() + TIMEOUT;
        let permit = timeout_at(until, Arc::clone(&self.permit).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(ReadError::Timeout(self.name)) };
        let reading = Blocking::start(self.name, move || {
            let value = read();
            // Before the value is sent, so that whoever receives it may read again.
            drop(permit);
            value
        });
        let value = timeout_at(until, reading).await.map_err(|_| ReadError::Timeout(self.name))?;
        value.map_err(|error| ReadError::Failed(self.name, error))
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
        assert!(matches!(
            other.read(|| panic!("on purpose")).await,
            Err(ReadError::Failed("kernel", BlockingError::Panicked(_)))
        ));
        assert_eq!(other.read(|| 9).await.unwrap(), 9);
    }
}
