//! Accepting, within bounds: of connections, of a request's head, and of the time that anyone may let us wait.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use r3e_common::runtime::tasks::Tasks;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::patient::Patient;
use super::site::Site;

/// What those who ask may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections at a time; more wait until one is closed, which takes no longer than `idle` where nothing is asked.
    pub(super) connections: usize,
    /// From connecting, or from the last answer, to the end of a request's head.
    pub(super) idle: Duration,
    /// How long someone may read nothing of an answer.
    pub(super) stalled: Duration,
    /// How long answers may take to end when the server is stopped.
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

/// The most bytes of a request's line and headers: browsers send the cookies of every port of this host.
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// How long to wait when no connection can be accepted, for want of descriptors for example.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers whoever connects, until it is told to stop.
pub(super) async fn accept(
    listener: TcpListener,
    site: &Arc<Site>,
    bounds: Bounds,
    tasks: &Tasks,
    stop: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    let mut failing = false;
    let accepting = async {
        loop {
            while connections.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    failing = false;
                    let serving = serve(stream, Arc::clone(site), bounds, stop.clone(), place);
                    connections.spawn(tasks.track("answering a connection", serving));
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "no connection can be accepted for now");
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
        tracing::info!(connections = connections.len(), "not all answers have come to their end");
    }
    connections.shutdown().await;
}

/// Answers what comes on one connection.
async fn serve(
    stream: TcpStream,
    site: Arc<Site>,
    bounds: Bounds,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    // Answers are written whole: there is nothing to gather.
    let _slower = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.idle)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Patient::new(stream, bounds.stalled)), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection came to no good end");
    }
}
