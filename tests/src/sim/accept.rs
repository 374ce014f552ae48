//! The socket and its connections: accepted, counted, served, and dropped when the simulator goes down.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::Request;
use axum::http::header::{CONNECTION, USER_AGENT};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tower::Service as _;

use super::counters::{ConnectionId, Counters};
use super::server::STATS_PATH;

/// What a running simulator can be told; the answer goes back on the channel.
pub(super) enum Command {
    /// Close the socket and all connections.
    Down(std::sync::mpsc::Sender<()>),
    /// Listen again.
    Up(std::sync::mpsc::Sender<io::Result<()>>),
}

/// An address that stays ours while nobody listens on it.
pub(super) struct Port {
    held: TcpSocket,
}

impl Port {
    pub(super) fn hold(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { held: bound(address)? })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.held.local_addr()
    }

    fn listen(&self) -> io::Result<TcpListener> {
        bound(self.address()?)?.listen(1024)
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Serves until the sender of commands is gone; then every connection is closed.
pub(super) async fn serve(
    port: Port,
    router: Router,
    counters: Arc<Counters>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    ready: impl FnOnce(io::Result<()>),
) {
    let mut listener = match port.listen() {
        Ok(listener) => Some(listener),
        Err(error) => return ready(Err(error)),
    };
    ready(Ok(()));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            stream = accept(listener.as_ref()) => {
                connections.spawn(connection(stream, router.clone(), Arc::clone(&counters)));
            }
            Some(_ended) = connections.join_next() => {}
            command = commands.recv() => match command {
                Some(Command::Down(done)) => {
                    listener = None;
                    connections.shutdown().await;
                    // Who asked may have given up waiting.
                    let _unheard = done.send(());
                }
                Some(Command::Up(done)) => {
                    let outcome = if listener.is_some() { Ok(()) } else { port.listen().map(|it| listener = Some(it)) };
                    let _unheard = done.send(outcome);
                }
                None => break,
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // Out of descriptors, or gone already: neither may end the server, the first one must not spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, router: Router, counters: Arc<Counters>) {
    // Without it the system may hold back small answers; a failure costs only time.
    let _slower = stream.set_nodelay(true);
    let connection = Arc::new(Connection::open(counters));
    let service = service_fn(|mut request: Request<Incoming>| {
        let in_flight = InFlight::begin(&connection, &request);
        request.extensions_mut().insert(Arc::clone(&connection));
        let answer = router.clone().call(request.map(Body::new));
        async move {
            let response = answer.await?;
            Ok::<_, Infallible>(response.map(|body| CountedBody::new(body, in_flight)))
        }
    });
    let stream = CountedStream { stream, connection: Arc::clone(&connection) };
    let mut http = std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // How it ended is the client's to notice.
        _ended = http.as_mut() => {}
        () = connection.hang_up.notified() => {}
    }
}

/// A connection from accept to close; handlers find it among the request's extensions.
#[derive(Debug)]
pub(super) struct Connection {
    id: ConnectionId,
    counters: Arc<Counters>,
    hang_up: Notify,
}

impl Connection {
    fn open(counters: Arc<Counters>) -> Self {
        Self { id: counters.opened(), counters, hang_up: Notify::new() }
    }

    /// Closes the connection without an answer.
    pub(super) async fn close(&self) -> ! {
        self.hang_up.notify_one();
        std::future::pending().await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counters.closed(self.id);
    }
}

/// A request from its head's arrival until its answer is handed over or given up.
struct InFlight {
    /// None for `/__stats`.
    connection: Option<Arc<Connection>>,
    whole: bool,
    /// Whether the connection is to stay: one that the client asked to close with the answer is never idle, however long
    /// the answer's last bytes take to go out.
    kept: bool,
}

impl InFlight {
    fn begin<B>(connection: &Arc<Connection>, request: &Request<B>) -> Self {
        if request.uri().path() == STATS_PATH {
            connection.counters.only_stats(connection.id);
            return Self { connection: None, whole: false, kept: false };
        }
        let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        connection.counters.began(connection.id, Instant::now(), user_agent);
        let kept = request.headers().get(CONNECTION).is_none_or(|value| value != "close");
        Self { connection: Some(Arc::clone(connection)), whole: false, kept }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.counters.finished(connection.id, self.whole && self.kept);
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

struct CountedStream {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl CountedStream {
    fn sent(&self, written: usize) {
        self.connection.counters.sent(self.connection.id, written as u64);
    }
}

impl AsyncRead for CountedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.sent(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        self.sent(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
