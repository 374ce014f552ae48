//! The control socket: where a live process is asked what it holds and what it does, and told to give memory back.
//!
//! HTTP/1.1 on `{runtime_dir}/{program}-{pid}.sock` (`{program}-{pid}.2.sock` where another program has that name), so that `curl --unix-socket` works: `GET /stats` (JSON),
//! `GET /metrics` (OpenMetrics), `GET /tasks` and `GET /arenas` (JSON), `GET /heap` (a heap profile, as the allocator writes
//! it), `GET /profile` and `POST /profile?active=true` (JSON: whether there are such profiles), `POST /purge`. It runs on a
//! thread and a runtime of its own, so that a program that is stuck still answers; only this user and root are answered, and
//! everything is bounded.

mod answer;
mod body;
mod facts;
mod metrics;
mod server;
mod socket;
mod stats;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio_util::sync::CancellationToken;

pub use facts::Facts;
pub use metrics::{Exposition, Format, render as render_metrics};
pub use stats::{BoardsProgress, PurgeStats, ScheduleFigures, Stats, TaskStats};

use server::Bounds;
use socket::Socket;

use crate::runtime::fs::FsError;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The folder or the socket's file cannot be used.
    #[error(transparent)]
    File(#[from] FsError),
    /// The system gives no socket there.
    #[error("cannot listen on {}: {cause}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The system gives no thread, or no runtime on it.
    #[error("no thread for the control socket: {0}")]
    Thread(io::Error),
}

/// An open control socket. It is closed and removed when this is dropped.
#[derive(Debug)]
pub struct Control {
    socket: Socket,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// Opens the socket of this process in that folder, which is made if it is missing, and removes from it the sockets that
    /// nobody listens on.
    ///
    /// # Errors
    /// When the folder is someone else's or others can write to it, or the system refuses.
    pub fn open(folder: &Path, facts: Arc<Facts>) -> Result<Self, ControlError> {
        Self::open_with(folder, facts, Bounds::default())
    }

    /// Like [`Control::open`]; where that fails, says so in the log: a program works on without.
    #[must_use]
    pub fn open_or_say(folder: &Path, facts: Arc<Facts>) -> Option<Self> {
        let opened = Self::open(folder, facts);
        opened.inspect_err(|error| tracing::warn!(%error, "no control socket: working on without")).ok()
    }

    fn open_with(folder: &Path, facts: Arc<Facts>, bounds: Bounds) -> Result<Self, ControlError> {
        let (listener, socket) = Socket::listen(folder, facts.program(), std::process::id())?;
        let stop = CancellationToken::new();
        let thread = {
            let (stop, own) = (stop.clone(), socket.path().to_owned());
            server::start(listener, own, facts, bounds, stop).map_err(ControlError::Thread)?
        };
        Ok(Self { socket, stop, thread: Some(thread) })
    }

    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.socket.path()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the control socket panicked");
        }
    }
}
