//! Writing by a thread of its own, for a daemon that must not wait for whoever reads its log: what does not fit into a bounded
//! queue is dropped, counted, and told when the reader is there again.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::runtime::memory::flush_if_asked;

/// The most bytes that wait to be written, and the most pieces.
const MOST_BYTES: usize = 256 << 10;
const MOST_PIECES: usize = 1024;

/// How long the last lines may take when writing behind ends.
const LAST_LINES: Duration = Duration::from_millis(200);

/// The queue, while something is written behind.
static QUEUE: RwLock<Option<Queue>> = RwLock::new(None);

/// Which of this process's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// Writes, as far as anyone reads.
    fn write(self, bytes: &[u8]) {
        let _unheard = match self {
            Self::Out => {
                let mut out = io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush())
            }
            Self::Err => io::stderr().lock().write_all(bytes),
        };
    }
}

enum Piece {
    Bytes(Stream, Vec<u8>),
    /// All before it is written.
    Flushed(SyncSender<()>),
}

/// A queue, as those who write have it.
#[derive(Clone)]
struct Queue {
    pieces: SyncSender<Piece>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    waiting_bytes: AtomicUsize,
    dropped: AtomicU64,
}

impl Queue {
    fn put(&self, stream: Stream, bytes: &[u8]) {
        let Counts { waiting_bytes, dropped } = &*self.counts;
        let fits = waiting_bytes.fetch_add(bytes.len(), Ordering::AcqRel) + bytes.len() <= MOST_BYTES;
        if !(fits && self.pieces.try_send(Piece::Bytes(stream, bytes.to_vec())).is_ok()) {
            waiting_bytes.fetch_sub(bytes.len(), Ordering::AcqRel);
            dropped.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Writes whatever comes, until nobody is left who could put anything into the queue.
fn write_all(pieces: &Receiver<Piece>, counts: &Counts) {
    for piece in pieces {
        match piece {
            Piece::Bytes(stream, bytes) => {
                stream.write(&bytes);
                counts.waiting_bytes.fetch_sub(bytes.len(), Ordering::AcqRel);
            }
            // Whoever waited may have given up.
            Piece::Flushed(told) => drop(told),
        }
        // What it was given by other threads is in this one's cache by now.
        flush_if_asked();
        let dropped = counts.dropped.swap(0, Ordering::AcqRel);
        if dropped > 0 {
            Stream::Err.write(format!("{dropped} lines were dropped: nobody read this log\n").as_bytes());
        }
    }
}

/// Writes to a stream of this process: behind, where that is in force, or else at once.
pub fn write(stream: Stream, bytes: &[u8]) {
    match &*QUEUE.read().unwrap_or_else(PoisonError::into_inner) {
        Some(queue) => queue.put(stream, bytes),
        None => stream.write(bytes),
    }
}

/// Waits until all that was written so far is where it is to be, but no longer than that.
pub(in crate::runtime) fn flush(bound: Duration) {
    let queue = QUEUE.read().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(queue) = queue else { return };
    let (told, flushed) = sync_channel(1);
    if queue.pieces.try_send(Piece::Flushed(told)).is_ok() {
        // An error says that it was let go of: all is written. Or nobody reads.
        let _written_or_not = flushed.recv_timeout(bound);
    }
}

/// Keeps writing behind in force until it is dropped; what is not written a moment later is lost.
#[derive(Debug)]
#[must_use = "writing behind ends when this is dropped"]
pub struct Behind(());

/// From now on whatever this process logs is written behind.
///
/// # Errors
/// When the system gives no thread.
pub fn write_behind() -> io::Result<Behind> {
    let (pieces, waiting) = sync_channel(MOST_PIECES);
    let queue = Queue { pieces, counts: Arc::default() };
    let counts = Arc::clone(&queue.counts);
    let write = move || write_all(&waiting, &counts);
    std::thread::Builder::new().name("log".into()).stack_size(128 << 10).spawn(write)?;
    *QUEUE.write().unwrap_or_else(PoisonError::into_inner) = Some(queue);
    Ok(Behind(()))
}

impl Drop for Behind {
    fn drop(&mut self) {
        flush(LAST_LINES);
        *QUEUE.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_and_nobody_waits() {
        let (pieces, waiting) = sync_channel(4);
        let queue = Queue { pieces, counts: Arc::default() };
        for _ in 0..6 {
            queue.put(Stream::Err, b"x");
        }
        assert_eq!(queue.counts.dropped.load(Ordering::Acquire), 2);
        assert_eq!(queue.counts.waiting_bytes.load(Ordering::Acquire), 4);
        drop(waiting.try_recv());
        queue.put(Stream::Err, &vec![b'x'; MOST_BYTES]);
        assert_eq!(queue.counts.dropped.load(Ordering::Acquire), 3);
        assert_eq!(queue.counts.waiting_bytes.load(Ordering::Acquire), 4);
    }
}
