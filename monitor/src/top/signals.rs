//! Signals of a terminal: it has another size, it is gone, its user wants to do something else. Those that end a program
//! are the business of `Shutdown`.

use std::io;
use std::thread::JoinHandle;

use signal_hook::consts::{SIGCONT, SIGHUP, SIGTSTP, SIGWINCH};
use signal_hook::iterator::{Handle, Signals as Received};
use tokio::sync::mpsc::{Receiver, channel};

/// What a signal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// The terminal has another size.
    Resized,
    /// The terminal is gone.
    HangUp,
    /// To stop for a while.
    Stop,
    /// To go on.
    GoOn,
}

/// Waits for signals on a thread of its own until it is dropped.
#[derive(Debug)]
pub(super) struct Signals {
    received: Receiver<Signal>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system gives no handler or thread.
    pub(super) fn listen() -> io::Result<Self> {
        let mut signals = Received::new([SIGWINCH, SIGHUP, SIGTSTP, SIGCONT])?;
        let handle = signals.handle();
        let (sender, received) = channel(16);
        let forward = move || {
            for number in signals.forever() {
                let signal = match number {
                    SIGHUP => Signal::HangUp,
                    SIGTSTP => Signal::Stop,
                    SIGCONT => Signal::GoOn,
                    _ => Signal::Resized,
                };
                if sender.blocking_send(signal).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("terminal".into()).spawn(forward)?;
        Ok(Self { received, handle, thread: Some(thread) })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        // The thread ends only with this.
        self.received.recv().await.unwrap_or(Signal::HangUp)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // One that waits for room waits no longer.
        self.received.close();
        self.handle.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that waits for the terminal's signals panicked");
        }
    }
}
