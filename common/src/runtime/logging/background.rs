//! Writes the log from a thread of its own, so that a daemon never waits for whoever reads it. Lines that do not fit the
//! bounded queue are dropped, counted and reported.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::runtime::memory::flush_if_asked;

const MAX_QUEUED_BYTES: usize = 256 << 10;
const MAX_QUEUED_LINES: usize = 1024;

/// How long the last lines may take when the thread is no longer used.
const LAST_LINES: Duration = Duration::from_millis(200);

/// Set while a thread writes.
static QUEUE: RwLock<Option<Queue>> = RwLock::new(None);

/// A standard stream of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    fn write(self, bytes: &[u8]) {
        // There is nowhere left to report an error to.
        let _closed = match self {
            Self::Out => {
                let mut out = io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush())
            }
            Self::Err => io::stderr().lock().write_all(bytes),
        };
    }
}

enum Message {
    Line(Stream, Vec<u8>),
    /// Dropped once everything before it is written.
    Flush(SyncSender<()>),
}

#[derive(Clone)]
struct Queue {
    messages: SyncSender<Message>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    queued_bytes: AtomicUsize,
    dropped_lines: AtomicU64,
}

impl Queue {
    fn push(&self, stream: Stream, line: &[u8]) {
        let Counts { queued_bytes, dropped_lines } = &*self.counts;
        let fits = queued_bytes.fetch_add(line.len(), Ordering::AcqRel) + line.len() <= MAX_QUEUED_BYTES;
        if !(fits && self.messages.try_send(Message::Line(stream, line.to_vec())).is_ok()) {
            queued_bytes.fetch_sub(line.len(), Ordering::AcqRel);
            dropped_lines.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Writes until every sender is gone.
fn write_all(messages: &Receiver<Message>, counts: &Counts) {
    for message in messages {
        match message {
            Message::Line(stream, line) => {
                stream.write(&line);
                counts.queued_bytes.fetch_sub(line.len(), Ordering::AcqRel);
            }
            Message::Flush(flushed) => drop(flushed),
        }
        // This thread frees what others allocated, so its allocator cache grows.
        flush_if_asked();
        let dropped = counts.dropped_lines.swap(0, Ordering::AcqRel);
        if dropped > 0 {
            Stream::Err.write(format!("{dropped} lines were dropped: nobody read this log\n").as_bytes());
        }
    }
}

/// Writes to a standard stream: through the queue if there is a [`BackgroundWriter`], else directly.
pub fn write(stream: Stream, line: &[u8]) {
    match &*QUEUE.read().unwrap_or_else(PoisonError::into_inner) {
        Some(queue) => queue.push(stream, line),
        None => stream.write(line),
    }
}

/// Waits until all lines queued so far are written, but no longer than `timeout`.
pub(in crate::runtime) fn flush(timeout: Duration) {
    let queue = QUEUE.read().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(queue) = queue else { return };
    let (sender, flushed) = sync_channel(1);
    if queue.messages.try_send(Message::Flush(sender)).is_ok() {
        // Disconnected: all is written. Timeout: nobody reads.
        let _either = flushed.recv_timeout(timeout);
    }
}

/// Writes the log from a thread until dropped. Dropping it waits briefly for the last lines.
#[derive(Debug)]
#[must_use = "the log is written directly again when this is dropped"]
pub struct BackgroundWriter(());

impl BackgroundWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn start() -> io::Result<Self> {
        let (sender, messages) = sync_channel(MAX_QUEUED_LINES);
        let queue = Queue { messages: sender, counts: Arc::default() };
        let counts = Arc::clone(&queue.counts);
        let write = move || write_all(&messages, &counts);
        std::thread::Builder::new().name("log".into()).stack_size(128 << 10).spawn(write)?;
        *QUEUE.write().unwrap_or_else(PoisonError::into_inner) = Some(queue);
        Ok(Self(()))
    }
}

impl Drop for BackgroundWriter {
    fn drop(&mut self) {
        flush(LAST_LINES);
        *QUEUE.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_do_not_fit_are_dropped_and_counted() {
        let (sender, messages) = sync_channel(4);
        let queue = Queue { messages: sender, counts: Arc::default() };
        for _ in 0..6 {
            queue.push(Stream::Err, b"x");
        }
        let counts =
            || (queue.counts.dropped_lines.load(Ordering::Acquire), queue.counts.queued_bytes.load(Ordering::Acquire));
        assert_eq!(counts(), (2, 4));
        drop(messages.try_recv());
        queue.push(Stream::Err, &vec![b'x'; MAX_QUEUED_BYTES]);
        assert_eq!(counts(), (3, 4));
    }
}
