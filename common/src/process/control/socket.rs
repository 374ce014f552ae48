//! The socket's file: made for this user alone, removed at the end; those of processes that are gone, at the beginning.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixStream;

use super::ControlError;
use crate::store::fs;

/// The most sockets that are looked at for one whose process is gone.
const MOST_LOOKED_AT: usize = 1000;

/// How long a socket may take to tell that nobody listens.
const PATIENCE: Duration = Duration::from_millis(100);

/// The file of a socket that is listened on. Removed when it is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
}

impl Socket {
    /// Makes the folder, if it is missing, and listens in it.
    pub(super) fn listen(folder: &Path, program: &str, pid: u32) -> Result<(UnixListener, Self), ControlError> {
        fs::private_folder(folder)?;
        let path = folder.join(format!("{program}-{pid}.sock"));
        // A process of the same number left it, and is gone.
        fs::remove(&path)?;
        let refused = |cause: io::Error| ControlError::Listen { path: path.clone(), cause };
        let listener = UnixListener::bind(&path).map_err(refused)?;
        let socket = Self { path: path.clone() };
        fs::make_private(&path)?;
        listener.set_nonblocking(true).map_err(refused)?;
        Ok((listener, socket))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove(&self.path) {
            tracing::warn!(%error, "the control socket stays; the next program removes it");
        }
    }
}

/// The process that a socket's file is named after.
fn pid_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_suffix(".sock")?.rsplit_once('-')?.1.parse().ok()
}

/// Removes the sockets beside `own` whose processes are gone: there is no process of that number here, and nobody listens.
/// The second alone could be one that is about to; the first alone, one in another container.
pub(super) async fn remove_stale(own: &Path) {
    let sockets = match fs::list(fs::parent(own)) {
        Ok(listed) => listed,
        Err(error) => return tracing::warn!(%error, "sockets of processes that are gone stay"),
    };
    for path in sockets.iter().filter(|path| path.as_path() != own).take(MOST_LOOKED_AT) {
        let Some(pid) = pid_of(path) else { continue };
        if Path::new("/proc").join(pid.to_string()).is_dir() {
            continue;
        }
        let answer = tokio::time::timeout(PATIENCE, UnixStream::connect(path)).await;
        let nobody_listens = matches!(answer, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused);
        if nobody_listens {
            match fs::remove(path) {
                Ok(()) => tracing::debug!(path = %path.display(), "removed the socket of a process that is gone"),
                Err(error) => tracing::warn!(%error, "the socket of a process that is gone stays"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// More than the system gives.
    const NOBODY: u32 = u32::MAX;

    #[test]
    fn a_process_is_told_by_the_name() {
        assert_eq!(pid_of(Path::new("/run/r3e-loader-42.sock")), Some(42));
        for none in ["runs", "r3e-loader-42", "r3e-loader.sock", "42.sock", "r3e-loader--.sock"] {
            assert_eq!(pid_of(Path::new(none)), None, "{none}");
        }
    }

    #[test]
    fn its_file_is_this_users_alone_and_ends_with_it() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("run");
        let (_listener, socket) = Socket::listen(&folder, "r3e-test", 7).unwrap();
        assert_eq!(socket.path(), folder.join("r3e-test-7.sock"));
        assert_eq!(socket.path().metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        drop(socket);
        assert_eq!(fs::list(&folder).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_a_process_of_the_same_number_left_is_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("r3e-test-7.sock");
        drop(UnixListener::bind(&path).unwrap());
        let (_listener, socket) = Socket::listen(temp.path(), "r3e-test", 7).unwrap();
        std::os::unix::net::UnixStream::connect(socket.path()).unwrap();
    }

    #[test]
    fn a_folder_or_name_that_takes_no_socket_is_told() {
        let temp = tempfile::tempdir().unwrap();
        let message = |folder: &Path| Socket::listen(folder, "r3e-test", 7).unwrap_err().to_string();
        let long = message(&temp.path().join("x".repeat(200)));
        assert!(long.starts_with("cannot listen on ") && long.contains("r3e-test-7.sock"), "{long}");
        let file = temp.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(message(&file).starts_with("cannot create the folder "));
    }

    #[tokio::test]
    async fn only_sockets_that_nobody_has_any_more_are_removed() {
        let temp = tempfile::tempdir().unwrap();
        let path = |name: String| temp.path().join(name);
        let own = path(format!("r3e-test-{}.sock", std::process::id()));
        let listened_on = path(format!("r3e-elsewhere-{}.sock", NOBODY - 1));
        let of_the_living = path("r3e-starting-1.sock".to_owned());
        let gone = path(format!("r3e-gone-{NOBODY}.sock"));
        let _listeners = [&own, &listened_on].map(|it| UnixListener::bind(it).unwrap());
        for nobody_listens in [&of_the_living, &gone] {
            drop(UnixListener::bind(nobody_listens).unwrap());
        }
        let file = path(format!("r3e-file-{NOBODY}.txt"));
        std::fs::write(&file, "").unwrap();
        remove_stale(&own).await;
        let mut stay = [own, listened_on, of_the_living, file];
        stay.sort();
        assert_eq!(fs::list(temp.path()).unwrap(), stay);
    }
}
