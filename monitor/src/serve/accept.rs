//! Accepts connections, within bounds on their number, the size of a request's head, and the time that a client may take.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use r3e_common::runtime::tasks::Tasks;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;

/// The bounds on clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections at a time; further ones wait until one is closed. An unused one is closed after `idle`.
    pub(super) connections: usize,
    /// From connecting, or from the last response, to the end of a request's head.
    pub(super) idle: Duration,
    /// How long a client may read nothing of a response.
    pub(super) stalled: Duration,
    /// How long responses may take to end when the server stops.
    pub(super) closing: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 256,
            idle: Duration::from_secs(15),
            stalled: Duration::from_secs(20),
            closing: Duration::from_secs(3),
        }
    }
}

/// The maximum size of a request's line and headers: browsers send the cookies of every port of this host.
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// The pause after a failed accept, such as when no file descriptor is free.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers connections until `stop` is cancelled.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    tasks: &Tasks,
    stop: &CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    let mut failing = false;
    let accepting = async {
        loop {
            while connections.try_join_next().is_some() {}
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    failing = false;
                    let serving = serve(stream, router.clone(), bounds, stop.clone(), permit);
                    connections.spawn(tasks.track("answering a connection", serving));
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "cannot accept connections");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    let _stopped = stop.run_until_cancelled(tasks.track("accepting connections", accepting)).await;
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(bounds.closing, ended).await.is_err() {
        tracing::info!(connections = connections.len(), "closing connections whose responses are incomplete");
    }
    connections.shutdown().await;
}

/// Answers the requests of one connection.
async fn serve(
    stream: TcpStream,
    router: Router,
    bounds: Bounds,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
) {
    // Responses are written whole: there is nothing to coalesce.
    let _slower = stream.set_nodelay(true);
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(bounds.stalled));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.idle)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection failed");
    }
}
