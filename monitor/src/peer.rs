//! Finds the process behind a control socket with `SO_PEERCRED` (`unix(7)`). The process id in the name of the socket may be
//! another process's: in another pid namespace, or after the process has ended.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

/// Timeout for connecting, which succeeds even if the process hangs.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The process is unknown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPeer {
    /// Nobody listens.
    #[error("the process has ended and left its socket behind")]
    Gone,
    /// It is in a pid namespace that is not visible from ours.
    #[error(
        "the process is in a pid namespace that is not visible from here\nhint: run r3e-monitor in its container, or on the host"
    )]
    NotVisible,
    /// Connecting failed.
    #[error("cannot connect to the control socket: {0}")]
    Connect(io::Error),
}

/// The process id, in our namespace, of the process that listens on a socket.
pub(crate) async fn peer(socket: &Path) -> Result<u32, NoPeer> {
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(socket)).await;
    let stream =
        connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => NoPeer::Gone,
            _ => NoPeer::Connect(error),
        })?;
    let pid = stream.peer_cred().map_err(NoPeer::Connect)?.pid();
    // 0 stands for a process that is not visible.
    pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0).ok_or(NoPeer::NotVisible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_listening_process_is_found_whatever_the_name_of_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r3e-loader-1.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(peer(&path).await.unwrap(), std::process::id());
        drop(listener);
        assert!(matches!(peer(&path).await, Err(NoPeer::Gone)));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(peer(&path).await, Err(NoPeer::Gone)));
    }
}
