//! The listening port: accepts connections, and drops them when the simulator simulates an outage.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::connection::Wire;

/// A command to a running simulator. The result is sent back on the channel.
pub(super) enum Command {
    /// Close the socket and all connections.
    Down(std::sync::mpsc::Sender<()>),
    /// Listen again.
    Up(std::sync::mpsc::Sender<io::Result<()>>),
}

/// An address that stays reserved while nothing listens on it.
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

/// Serves until the command sender is dropped, then closes all connections.
pub(super) async fn serve(
    port: Port,
    wire: Arc<Wire>,
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
                connections.spawn(Arc::clone(&wire).serve(stream));
            }
            Some(_ended) = connections.join_next() => {}
            command = commands.recv() => match command {
                Some(Command::Down(done)) => {
                    listener = None;
                    drop_all(&mut connections, &wire).await;
                    // The caller may have stopped waiting.
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
    drop_all(&mut connections, &wire).await;
}

/// Closes all connections. HTTP/2 streams end with theirs.
async fn drop_all(connections: &mut JoinSet<()>, wire: &Wire) {
    connections.shutdown().await;
    wire.streams.close();
    wire.streams.wait().await;
    wire.streams.reopen();
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // Out of descriptors, or the client has disconnected. Neither may end the server, and the former must not spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
