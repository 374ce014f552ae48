//! The socket that a supervisor listens on: a path, or a name of Linux's abstract space, which begins with `@`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where messages go. Each is sent to its address anew, so that one who listens there again later is told too.
#[derive(Debug)]
pub(super) struct Socket {
    name: String,
    address: SocketAddr,
    ours: UnixDatagram,
}

impl Socket {
    /// The one that `NOTIFY_SOCKET` names.
    ///
    /// # Errors
    /// What is wrong with the name, or that there is no socket to be had.
    pub(super) fn named(value: &OsStr) -> Result<Self, String> {
        let name = value.display().to_string();
        let address = match value.as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(value),
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
            _ => return Err(format!("NOTIFY_SOCKET={name}: expected an absolute path, or a name that begins with @")),
        };
        let address = address.map_err(|error| format!("NOTIFY_SOCKET={name}: {error}"))?;
        let ours = UnixDatagram::unbound().and_then(|it| it.set_nonblocking(true).map(|()| it));
        let ours = ours.map_err(|error| format!("no socket to tell the supervisor by: {error}"))?;
        Ok(Self { name, address, ours })
    }

    /// As it was named.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sends a message whole, or not at all; never waits.
    pub(super) fn send(&self, message: &[u8]) -> io::Result<()> {
        self.ours.send_to_addr(message, &self.address).map(|_| ())
    }
}
