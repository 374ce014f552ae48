//! What is leaked, and how one of each is made.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use fastrand::Rng;
use r3e_common::runtime::tasks::Tasks;

/// What is leaked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Kind {
    /// Nothing.
    None,
    /// Memory, in small pieces.
    Bytes,
    /// Tasks that never end.
    Tasks,
    /// Descriptors that nobody closes.
    Descriptors,
    /// Connections that the other side has closed, and this one has not.
    Connections,
    /// Threads that never end.
    Threads,
}

impl Kind {
    /// As the command line has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bytes => "bytes",
            Self::Tasks => "tasks",
            Self::Descriptors => "descriptors",
            Self::Connections => "connections",
            Self::Threads => "threads",
        }
    }
}

/// Makes what can leak.
#[derive(Debug)]
pub(super) struct Maker {
    tasks: Tasks,
    listener: TcpListener,
    address: SocketAddr,
}

impl Maker {
    pub(super) fn new(tasks: Tasks) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        Ok(Self { tasks, listener, address })
    }

    /// A task that lives until it is aborted.
    pub(super) fn task(&self) -> tokio::task::JoinHandle<()> {
        self.tasks.spawn("waiting for nothing", std::future::pending())
    }

    /// A descriptor that is no connection.
    #[expect(clippy::unused_self, reason = "made as all others are")]
    pub(super) fn descriptor(&self) -> io::Result<UnixDatagram> {
        UnixDatagram::unbound()
    }

    /// This end of a connection whose other end is closed.
    pub(super) fn connection(&self) -> io::Result<TcpStream> {
        let here = TcpStream::connect(self.address)?;
        let _closed = self.listener.accept()?;
        Ok(here)
    }

    /// A thread that lives until the sender is dropped.
    #[expect(clippy::unused_self, reason = "made as all others are")]
    pub(super) fn thread(&self) -> io::Result<(Sender<()>, JoinHandle<()>)> {
        let (end, ended) = channel::<()>();
        let wait = move || {
            // Nothing is ever sent.
            let _dropped = ended.recv();
        };
        Ok((end, std::thread::Builder::new().stack_size(128 << 10).spawn(wait)?))
    }
}

/// What has leaked so far: it is never looked at again, and only held.
#[derive(Debug)]
pub(super) struct Leak {
    kind: Kind,
    per_cycle: usize,
    bytes: Vec<Vec<u8>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    descriptors: Vec<UnixDatagram>,
    connections: Vec<TcpStream>,
    threads: Vec<(Sender<()>, JoinHandle<()>)>,
}

impl Leak {
    pub(super) fn new(kind: Kind, per_cycle: usize) -> Self {
        let (bytes, tasks, descriptors) = (Vec::new(), Vec::new(), Vec::new());
        let (connections, threads) = (Vec::new(), Vec::new());
        Self { kind, per_cycle, bytes, tasks, descriptors, connections, threads }
    }

    pub(super) fn cycle(&mut self, maker: &Maker, random: &mut Rng) -> io::Result<()> {
        if self.kind == Kind::Bytes {
            self.bytes.extend(pieces(self.per_cycle, random));
            return Ok(());
        }
        for _one in 0..self.per_cycle {
            match self.kind {
                Kind::None | Kind::Bytes => {}
                Kind::Tasks => self.tasks.push(maker.task()),
                Kind::Descriptors => self.descriptors.push(maker.descriptor()?),
                Kind::Connections => self.connections.push(maker.connection()?),
                Kind::Threads => self.threads.push(maker.thread()?),
            }
        }
        Ok(())
    }
}

/// So many bytes in pieces of some hundred, as text and entries are.
pub(super) fn pieces(bytes: usize, random: &mut Rng) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut left = bytes;
    while left > 0 {
        let size = random.usize(32..1024).min(left);
        pieces.push(vec![random.u8(..); size]);
        left -= size;
    }
    pieces
}
