//! Which process is behind a control socket, by the kernel (`SO_PEERCRED`, `unix(7)`). The number in the socket's name is what
//! the process called itself: in another pid namespace, or when that process is gone, it is another one's here.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

/// How long connecting may take. It needs no answer, so a process that is stuck is found too.
const TO_CONNECT: Duration = Duration::from_secs(2);

/// Why it is not known which process it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPeer {
    /// Nobody listens.
    #[error("its process is gone, and left its socket behind; its number may be another process's by now")]
    Gone,
    /// It is in a pid namespace that is not below ours.
    #[error(
        "it runs in a pid namespace that cannot be seen from here; hint: run r3e-monitor in its container, or outside of all"
    )]
    NotVisible,
    /// The socket cannot be used.
    #[error("cannot connect to its socket: {0}")]
    Connect(io::Error),
}

/// The process that listens on a socket, as it is numbered here.
///
/// # Errors
/// When nobody listens, or the kernel does not tell who.
pub(crate) async fn peer(socket: &Path) -> Result<u32, NoPeer> {
    let connecting = tokio::time::timeout(TO_CONNECT, UnixStream::connect(socket)).await;
    let stream =
        connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => NoPeer::Gone,
            _ => NoPeer::Connect(error),
        })?;
    let pid = stream.peer_cred().map_err(NoPeer::Connect)?.pid();
    // A process that cannot be seen from here has the number 0.
    pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0).ok_or(NoPeer::NotVisible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_the_process_that_listens_whatever_the_name_says_and_whether_or_not_it_answers() {
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
