//! A connection from accept to close: TLS, HTTP version, requests in flight, and when it goes silent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::header::{CONNECTION, USER_AGENT};
use axum::http::{Request, Response, Version};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use super::SimOptions;
use super::counters::{ConnectionId, Counters};
use super::server::{STATS_PATH, Service};
use super::socket::Socket;
use super::tls::H2;

/// What all connections share.
pub(super) struct Wire {
    router: Router,
    counters: Arc<Counters>,
    tls: Option<TlsAcceptor>,
    /// The tasks of HTTP/2 streams. Each ends soon after its connection.
    pub(super) streams: TaskTracker,
    silence: Silence,
}

/// After how many responses the first connection, or its streams, get no more responses.
pub(super) struct Silence {
    after: Option<u64>,
    streams_after: Option<u64>,
    /// The first connection with a request for anything but the counters.
    first: OnceLock<ConnectionId>,
}

impl Silence {
    pub(super) fn new(options: &SimOptions) -> Self {
        let SimOptions { silent_after: after, silent_streams_after: streams_after, .. } = *options;
        Self { after, streams_after, first: OnceLock::new() }
    }

    /// Whether a request on this connection gets no response. This may also make the connection go silent.
    fn swallows(&self, connection: &Connection, version: Version) -> bool {
        if *self.first.get_or_init(|| connection.id) != connection.id {
            return false;
        }
        let answered = connection.answered.load(Ordering::SeqCst);
        let reached = |after: Option<u64>| after.is_some_and(|after| answered >= after);
        if reached(self.after) {
            connection.silent.store(true, Ordering::SeqCst);
        }
        connection.is_silent() || (version == Version::HTTP_2 && reached(self.streams_after))
    }
}

impl Wire {
    pub(super) fn new(silence: Silence, tls: Option<TlsAcceptor>, service: &Arc<Service>) -> Self {
        let (router, counters) = (service.router(), Arc::clone(&service.counters));
        Self { router, counters, tls, streams: TaskTracker::new(), silence }
    }

    /// Serves a connection until one side closes it.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream) {
        // Without `TCP_NODELAY` small responses may be delayed. A failure only costs time.
        let _slower = stream.set_nodelay(true);
        let connection = Arc::new(Connection::open(Arc::clone(&self.counters)));
        let socket = Socket::new(stream, Arc::clone(&connection));
        let Some(tls) = &self.tls else { return self.http(socket, &connection, false).await };
        let handshake = tls.accept(socket).await;
        self.counters.handshake(connection.id, handshake.is_ok());
        // The client reports why it failed.
        if let Ok(stream) = handshake {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(H2);
            self.http(stream, &connection, http2).await;
        }
    }

    async fn http<S>(&self, stream: S, connection: &Arc<Connection>, http2: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request| self.answer(Arc::clone(connection), request));
        let stream = TokioIo::new(stream);
        let served = async {
            // The client notices how it ended.
            if http2 {
                self.counters.http2(connection.id);
                let _ended = http2::Builder::new(Streams(self.streams.clone())).serve_connection(stream, service).await;
            } else {
                let _ended = http1::Builder::new().serve_connection(stream, service).await;
            }
        };
        tokio::select! {
            () = served => {}
            () = connection.hang_up.notified() => {}
        }
    }

    fn answer(
        &self,
        connection: Arc<Connection>,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<CountedBody>, Infallible>> + Send + use<> {
        let in_flight = InFlight::begin(&connection, &request);
        let silent = in_flight.connection.is_some() && self.silence.swallows(&connection, request.version());
        request.extensions_mut().insert(connection);
        let mut router = self.router.clone();
        async move {
            if silent {
                return std::future::pending().await;
            }
            let response = router.call(request.map(Body::new)).await?;
            Ok(response.map(|body| CountedBody::new(body, in_flight)))
        }
    }
}

/// Runs what hyper spawns for HTTP/2.
#[derive(Clone)]
struct Streams(TaskTracker);

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        drop(self.0.spawn(stream));
    }
}

/// A connection; handlers find it among the request's extensions.
#[derive(Debug)]
pub(super) struct Connection {
    id: ConnectionId,
    counters: Arc<Counters>,
    hang_up: Notify,
    /// Complete responses so far.
    answered: AtomicU64,
    silent: AtomicBool,
}

impl Connection {
    fn open(counters: Arc<Counters>) -> Self {
        Self {
            id: counters.opened(),
            counters,
            hang_up: Notify::new(),
            answered: AtomicU64::new(0),
            silent: AtomicBool::new(false),
        }
    }

    /// Closes the connection without an answer; with HTTP/2, for all of its streams.
    pub(super) async fn close(&self) -> ! {
        self.hang_up.notify_one();
        std::future::pending().await
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::SeqCst)
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.counters.sent(self.id, bytes as u64);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counters.closed(self.id);
    }
}

/// A request from the arrival of its head until its response has been handed over or abandoned.
struct InFlight {
    /// None for `/__stats`.
    connection: Option<Arc<Connection>>,
    whole: bool,
    /// Whether it is an HTTP/2 connection, which survives the response however that ends.
    http2: bool,
    /// Whether the connection is kept alive. One that the client asked to close is never idle, even while the last bytes of
    /// the response are being sent.
    kept: bool,
}

impl InFlight {
    fn begin<B>(connection: &Arc<Connection>, request: &Request<B>) -> Self {
        let http2 = request.version() == Version::HTTP_2;
        let kept = request.headers().get(CONNECTION).is_none_or(|value| value != "close");
        let in_flight = |connection| Self { connection, whole: false, http2, kept };
        if request.uri().path() == STATS_PATH {
            connection.counters.only_stats(connection.id);
            return in_flight(None);
        }
        let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        connection.counters.began(connection.id, Instant::now(), user_agent);
        in_flight(Some(Arc::clone(connection)))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            if self.whole {
                connection.answered.fetch_add(1, Ordering::SeqCst);
            }
            connection.counters.finished(connection.id, self.http2 || (self.whole && self.kept));
        }
    }
}

struct CountedBody {
    body: Body,
    in_flight: InFlight,
}

impl CountedBody {
    /// Where a body is known to have ended, the server does not ask for what comes next.
    fn new(body: Body, mut in_flight: InFlight) -> Self {
        in_flight.whole = body.is_end_stream();
        Self { body, in_flight }
    }
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.in_flight.whole = frame.is_none() || (matches!(frame, Some(Ok(_))) && self.body.is_end_stream());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
