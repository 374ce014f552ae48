//! Accepts connections, within bounds, on a thread and a runtime of its own.

use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use nix::unistd::Uid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::facts::Facts;
use super::router::router;
use super::socket;

/// The bounds on clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections at a time; further ones are closed at once.
    pub(super) connections: usize,
    /// From connecting to the end of the answer.
    pub(super) time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 16, time: Duration::from_secs(5) }
    }
}

/// The maximum size of a request's line and headers: the smallest that hyper accepts.
const MAX_HEAD_BYTES: usize = 8 << 10;
const MAX_HEADERS: usize = 32;

/// The stack of the thread: answers are small.
const STACK_BYTES: usize = 512 << 10;

/// The pause after a failed accept, such as when no file descriptor is free.
const PAUSE: Duration = Duration::from_millis(100);

/// How long closing the socket waits for a purge.
const CLOSING: Duration = Duration::from_secs(1);

/// Starts the thread, which answers until `stop` is cancelled.
pub(super) fn start(
    listener: StdUnixListener,
    own: PathBuf,
    facts: Arc<Facts>,
    bounds: Bounds,
    stop: CancellationToken,
) -> io::Result<JoinHandle<()>> {
    // One thread for purges, which exists only during one.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .thread_keep_alive(Duration::from_millis(100))
        .thread_name("control-purge")
        .build()?;
    let listener = {
        let _entered = runtime.enter();
        UnixListener::from_std(listener)?
    };
    let work = move || {
        runtime.block_on(async {
            // Accept first: cleaning up can wait.
            tokio::join!(accept(&listener, &facts, bounds, &stop), async { socket::remove_abandoned(&own) });
        });
        // Closes what is still connected.
        runtime.shutdown_timeout(CLOSING);
    };
    std::thread::Builder::new().name("control".into()).stack_size(STACK_BYTES).spawn(work)
}

async fn accept(listener: &UnixListener, facts: &Arc<Facts>, bounds: Bounds, stop: &CancellationToken) {
    let permits = Arc::new(Semaphore::new(bounds.connections));
    let router = router(facts);
    let mut failing = false;
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "the control socket cannot accept connections");
                }
                stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                continue;
            }
        };
        failing = false;
        if !may_ask(&stream) {
            continue;
        }
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
        tokio::spawn(serve(stream, router.clone(), bounds.time, permit));
    }
}

/// Only this user and root may ask.
fn may_ask(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) => peer.uid() == Uid::effective().as_raw() || peer.uid() == 0,
        Err(error) => {
            tracing::debug!(%error, "refused a client whose user is unknown");
            false
        }
    }
}

/// Answers one request and closes the connection.
async fn serve(stream: UnixStream, router: Router, time: Duration, _permit: OwnedSemaphorePermit) {
    let connection = http1::Builder::new()
        .keep_alive(false)
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(time, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a request to the control socket failed"),
        Err(_) => tracing::debug!(?time, "a request to the control socket timed out"),
    }
}
