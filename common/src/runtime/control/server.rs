//! Accepting, within bounds, on a thread and a runtime of its own.

use std::convert::Infallible;
use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nix::unistd::Uid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::answer::answer;
use super::facts::Facts;
use super::socket;

/// What one who asks may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections at a time; more are closed at once.
    pub(super) connections: usize,
    /// From connecting to the end of the answer.
    pub(super) time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 16, time: Duration::from_secs(5) }
    }
}

/// The most bytes of a request's line and headers: the least that hyper can be held to.
const MAX_HEAD_BYTES: usize = 8 << 10;
const MAX_HEADERS: usize = 32;

/// The thread's stack: what is answered is small. The program's own threads have 2 MiB.
const STACK_BYTES: usize = 512 << 10;

/// How long to wait when no connection can be accepted, for want of descriptors for example.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a purge may take to end when the socket is closed.
const CLOSING: Duration = Duration::from_secs(1);

/// Begins to answer, until it is told to stop.
pub(super) fn start(
    listener: StdUnixListener,
    own: PathBuf,
    facts: Arc<Facts>,
    bounds: Bounds,
    stop: CancellationToken,
) -> io::Result<JoinHandle<()>> {
    // One thread for purges, which is there while there is one.
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
            // Not before it can be asked: what others left can wait.
            tokio::join!(accept(&listener, &facts, bounds, &stop), async { socket::remove_abandoned(&own) });
        });
        // Whoever is still connected is let go.
        runtime.shutdown_timeout(CLOSING);
    };
    std::thread::Builder::new().name("control".into()).stack_size(STACK_BYTES).spawn(work)
}

async fn accept(listener: &UnixListener, facts: &Arc<Facts>, bounds: Bounds, stop: &CancellationToken) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let mut failing = false;
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "the control socket cannot be asked for now");
                }
                stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                continue;
            }
        };
        failing = false;
        if !may_ask(&stream) {
            continue;
        }
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        tokio::spawn(serve(stream, Arc::clone(facts), bounds.time, place));
    }
}

/// Only this user and root.
fn may_ask(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) => peer.uid() == Uid::effective().as_raw() || peer.uid() == 0,
        Err(error) => {
            tracing::debug!(%error, "someone who does not say who it is was not answered");
            false
        }
    }
}

/// Answers one request, and closes.
async fn serve(stream: UnixStream, facts: Arc<Facts>, time: Duration, _place: OwnedSemaphorePermit) {
    let service = service_fn(move |request| {
        let facts = Arc::clone(&facts);
        async move { Ok::<_, Infallible>(answer(request, facts).await) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(time, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a request to the control socket was no good"),
        Err(_) => tracing::debug!("a request to the control socket took longer than {time:?}"),
    }
}
