//! Stopping when a signal asks for it: orderly at the first, within a bound, and at once at the second.
//!
//! A thread of its own waits for signals, so that a runtime that is stuck does not keep the process from ending.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;

/// Listens for SIGTERM and SIGINT until it is dropped.
#[derive(Debug)]
pub struct Shutdown {
    token: CancellationToken,
    signal: Arc<AtomicI32>,
    handle: Handle,
    listener: Option<JoinHandle<()>>,
    /// Dropped at the end: tells the watchdog that the process has stopped in time.
    alive: Option<Sender<()>>,
}

impl Shutdown {
    /// Begins to listen. Once a signal came, the process has `grace` to end by itself.
    ///
    /// # Errors
    /// When the system gives no handler or thread.
    pub fn listen(grace: Duration) -> io::Result<Self> {
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let handle = signals.handle();
        let token = CancellationToken::new();
        let signal = Arc::new(AtomicI32::new(0));
        let (alive, watched) = channel();
        let listener = {
            let (token, signal) = (token.clone(), Arc::clone(&signal));
            std::thread::Builder::new().name("signals".into()).spawn(move || {
                let mut watched = Some(watched);
                for number in signals.forever() {
                    let Some(watched) = watched.take() else { end_now(number, "a second signal: ending at once") };
                    // The log comes last: whoever reads it may have stalled.
                    signal.store(number, Ordering::Release);
                    token.cancel();
                    watchdog(watched, number, grace);
                    say(move || {
                        tracing::info!(signal = name(number), grace = %humantime::format_duration(grace), "stopping");
                    });
                }
            })?
        };
        Ok(Self { token, signal, handle, listener: Some(listener), alive: Some(alive) })
    }

    /// Cancelled by the first signal.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// The exit code that the first signal calls for, if one came.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        exit_of(self.signal.load(Ordering::Acquire))
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        drop(self.alive.take());
        self.handle.close();
        if let Some(listener) = self.listener.take()
            && listener.join().is_err()
        {
            tracing::error!("the thread that waits for signals panicked");
        }
    }
}

/// Ends the process if it has not ended by itself in time. What is at its final path is whole at any moment, so this loses
/// what is in flight, and nothing else.
fn watchdog(watched: Receiver<()>, number: i32, grace: Duration) {
    let watch = move || {
        if watched.recv_timeout(grace) == Err(RecvTimeoutError::Timeout) {
            end_now(number, "the time to stop in has passed: ending at once");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("stop-grace".into()).spawn(watch) {
        tracing::error!(%error, "no thread to watch the time to stop in: it has no bound");
    }
}

fn end_now(number: i32, why: &str) -> ! {
    let said = say({
        let why = why.to_owned();
        move || tracing::error!(signal = name(number), "{why}")
    });
    // Closed when it was said; or nobody reads, and it is never said.
    let _said_or_not = said.recv_timeout(Duration::from_millis(200));
    std::process::exit(i32::from(exit_of(number).unwrap_or(Exit::Unexpected).code()))
}

/// Logs on a thread of its own, so that a log that nobody reads holds up nothing else. The channel closes when it is done.
fn say(log: impl FnOnce() + Send + 'static) -> Receiver<()> {
    let (done, said) = channel();
    let log = move || {
        log();
        drop(done);
    };
    if std::thread::Builder::new().name("last-words".into()).spawn(log).is_err() {
        tracing::error!("no thread to log on");
    }
    said
}

fn exit_of(number: i32) -> Option<Exit> {
    match number {
        SIGINT => Some(Exit::Interrupted),
        SIGTERM => Some(Exit::Terminated),
        _ => None,
    }
}

fn name(number: i32) -> &'static str {
    signal_hook::low_level::signal_name(number).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_cancels_and_is_told() {
        let shutdown = Shutdown::listen(Duration::from_mins(1)).unwrap();
        assert_eq!(shutdown.exit(), None);
        assert!(!shutdown.token().is_cancelled());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        let begun = std::time::Instant::now();
        while !shutdown.token().is_cancelled() {
            assert!(begun.elapsed() < Duration::from_secs(10), "no signal arrived");
            std::thread::yield_now();
        }
        assert_eq!(shutdown.exit(), Some(Exit::Terminated));
        drop(shutdown);
    }
}
