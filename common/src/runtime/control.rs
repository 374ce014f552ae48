//! The control socket: reports the figures of a live process, and makes it return unused memory.
//!
//! HTTP/1.1 on `{runtime_dir}/{program}-{pid}.sock` (`{program}-{pid}.2.sock` if that name is taken), so that
//! `curl --unix-socket` works; [`Endpoint`] lists the requests. It runs on a thread and a runtime of its own, so that a
//! stuck program still answers. It answers only this user and root, and everything is bounded.

mod endpoint;
mod facts;
mod metrics;
mod router;
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

pub use endpoint::Endpoint;
pub use facts::Facts;
pub use metrics::{Exposition, Format, Label, MetricType};
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
    /// The system refuses to create a socket there.
    #[error("cannot listen on {}: {cause}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The system refuses to start a thread or a runtime.
    #[error("cannot start the thread of the control socket: {0}")]
    Thread(io::Error),
}

/// An open control socket. Dropping it closes and removes the socket.
#[derive(Debug)]
pub struct Control {
    socket: Socket,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// Opens the socket of this process in that folder, which is created if missing, and removes abandoned sockets from the
    /// folder.
    ///
    /// # Errors
    /// If the folder belongs to another user, others can write to it, or the system refuses.
    pub fn open(folder: &Path, facts: Arc<Facts>) -> Result<Self, ControlError> {
        Self::open_with(folder, facts, Bounds::default())
    }

    /// Like [`Control::open`], but a failure is only logged: the program runs without a socket.
    #[must_use]
    pub fn open_or_warn(folder: &Path, facts: Arc<Facts>) -> Option<Self> {
        let opened = Self::open(folder, facts);
        opened.inspect_err(|error| tracing::warn!(%error, "running without a control socket")).ok()
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

    /// The path of the socket.
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
