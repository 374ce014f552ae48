//! The file of the socket: created for this user alone and removed at the end. Abandoned ones are removed at the start.
//!
//! Programs in several containers may share the folder and have the same process id, so a name that is in use is left alone.
//! Sockets are created and removed under a lock on the folder, so that one that is bound and does not listen yet is not taken
//! for an abandoned one.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::ControlError;
use crate::runtime::fs::{self, Inode};

/// The maximum number of sockets that are checked for being abandoned.
const MAX_CHECKED: usize = 1000;

/// The maximum number of programs with the same name and process id in one folder.
const MAX_INSTANCES: u32 = 100;

/// How long to wait for the lock. Without it, only the program's own socket is removed.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The file of a listening socket. Dropping it removes the file, unless another file has replaced it.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    inode: Option<Inode>,
}

impl Socket {
    /// Creates the folder if it is missing, and listens in it.
    pub(super) fn listen(folder: &Path, program: &str, pid: u32) -> Result<(UnixListener, Self), ControlError> {
        fs::private_folder(folder)?;
        let lock = lock(folder);
        let (listener, path) = bind(folder, program, pid, lock.is_some())?;
        let refused = |cause: io::Error| ControlError::Listen { path: path.clone(), cause };
        let socket = Self { inode: fs::inode(&path)?, path: path.clone() };
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
        let _lock = lock(fs::parent(&self.path));
        let removed = fs::inode(&self.path).and_then(|found| {
            let is_ours = found.is_some() && found == self.inode;
            if is_ours { fs::remove(&self.path) } else { Ok(()) }
        });
        if let Err(error) = removed {
            tracing::warn!(%error, "cannot remove the control socket; the next program removes it");
        }
    }
}

/// Binds the first free name: `{program}-{pid}.sock`, `{program}-{pid}.2.sock` and so on.
fn bind(folder: &Path, program: &str, pid: u32, may_remove: bool) -> Result<(UnixListener, PathBuf), ControlError> {
    let name = |instance| match instance {
        1 => format!("{program}-{pid}.sock"),
        more => format!("{program}-{pid}.{more}.sock"),
    };
    for path in (1..=MAX_INSTANCES).map(|instance| folder.join(name(instance))) {
        let refused = |cause: io::Error| ControlError::Listen { path: path.clone(), cause };
        if may_remove && is_abandoned(&path) {
            fs::remove(&path)?;
        }
        match UnixListener::bind(&path) {
            Ok(listener) => return Ok((listener, path)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(refused(error)),
        }
    }
    let cause = io::Error::other(format!("{MAX_INSTANCES} programs have a socket with that name and process id"));
    Err(ControlError::Listen { path: folder.join(name(1)), cause })
}

/// Whether nothing listens on that socket. Does not wait: a program that is stuck still listens.
fn is_abandoned(path: &Path) -> bool {
    let refused = || {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?)
    };
    refused() == Err(Errno::ECONNREFUSED)
}

/// Locks a folder of sockets; none if the file system has no locks, or others hold it for too long.
fn lock(folder: &Path) -> Option<File> {
    let until = Instant::now() + LOCK_TIMEOUT;
    loop {
        match try_lock(folder) {
            Ok(locked) => return Some(locked),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOCK_TIMEOUT / 200),
            Err(error) => {
                tracing::debug!(folder = %folder.display(), %error, "cannot lock the folder of the control sockets");
                return None;
            }
        }
    }
}

fn try_lock(folder: &Path) -> Result<File, TryLockError> {
    let folder = fs::open_folder(folder).map_err(|error| TryLockError::Error(error.cause))?;
    folder.try_lock().map(|()| folder)
}

/// Removes the abandoned sockets beside `own`. If another program holds the lock, it does this itself.
pub(super) fn remove_abandoned(own: &Path) {
    let folder = fs::parent(own);
    let Ok(_lock) = try_lock(folder) else { return };
    let sockets = match fs::list(folder) {
        Ok(listed) => listed,
        Err(error) => return tracing::warn!(%error, "cannot list the control sockets"),
    };
    let others = sockets.iter().filter(|path| path.as_path() != own && path.extension().is_some_and(|it| it == "sock"));
    for path in others.take(MAX_CHECKED).filter(|path| is_abandoned(path)) {
        match fs::remove(path) {
            Ok(()) => tracing::debug!(path = %path.display(), "removed an abandoned control socket"),
            Err(error) => tracing::warn!(%error, "cannot remove an abandoned control socket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;

    fn listen(folder: &Path) -> (UnixListener, Socket) {
        Socket::listen(folder, "r3e-test", 7).unwrap()
    }

    fn name(socket: &Socket) -> String {
        socket.path().file_name().unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn the_socket_file_is_private_and_removed_at_the_end() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("run");
        let (_listener, socket) = listen(&folder);
        assert_eq!(socket.path(), folder.join("r3e-test-7.sock"));
        assert_eq!(socket.path().metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        drop(socket);
        assert_eq!(fs::list(&folder).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn an_abandoned_socket_with_the_same_name_is_replaced() {
        let temp = tempfile::tempdir().unwrap();
        drop(UnixListener::bind(temp.path().join("r3e-test-7.sock")).unwrap());
        let (_listener, socket) = listen(temp.path());
        assert_eq!(name(&socket), "r3e-test-7.sock");
        UnixStream::connect(socket.path()).unwrap();
    }

    #[test]
    fn a_name_in_use_is_left_alone_whoever_ends_first() {
        let temp = tempfile::tempdir().unwrap();
        let (_one_listens, one) = listen(temp.path());
        let (two_listens, two) = listen(temp.path());
        let (_three_listens, three) = listen(temp.path());
        assert_eq!([&one, &two, &three].map(name), ["r3e-test-7.sock", "r3e-test-7.2.sock", "r3e-test-7.3.sock"]);
        drop((two_listens, two));
        UnixStream::connect(one.path()).unwrap();
        UnixStream::connect(three.path()).unwrap();
        let (_next_listens, next) = listen(temp.path());
        assert_eq!(name(&next), "r3e-test-7.2.sock", "the first free name is taken");
    }

    #[test]
    fn the_socket_of_another_process_stays() {
        let temp = tempfile::tempdir().unwrap();
        let (listener, socket) = listen(temp.path());
        let path = socket.path().to_owned();
        fs::remove(&path).unwrap();
        let _others = UnixListener::bind(&path).unwrap();
        // The listener stays open meanwhile, so that its inode number is not reused.
        drop(socket);
        drop(listener);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn many_programs_that_start_at_once_get_a_socket_each() {
        let temp = tempfile::tempdir().unwrap();
        drop(UnixListener::bind(temp.path().join("r3e-test-7.sock")).unwrap());
        let all_start = std::sync::Barrier::new(20);
        let sockets: Vec<(UnixListener, Socket)> = std::thread::scope(|scope| {
            let start = || {
                all_start.wait();
                let own = listen(temp.path());
                remove_abandoned(own.1.path());
                own
            };
            let starting: Vec<_> = (0..20).map(|_| scope.spawn(start)).collect();
            starting.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let names: BTreeSet<String> = sockets.iter().map(|(_, socket)| name(socket)).collect();
        assert_eq!(names.len(), 20);
        for (listener, socket) in &sockets {
            let client = UnixStream::connect(socket.path()).unwrap();
            listener.set_nonblocking(false).unwrap();
            let (_accepted, _) = listener.accept().unwrap();
            drop(client);
        }
    }

    #[test]
    fn an_unusable_folder_or_name_is_reported() {
        let temp = tempfile::tempdir().unwrap();
        let message = |folder: &Path| Socket::listen(folder, "r3e-test", 7).unwrap_err().to_string();
        let long = message(&temp.path().join("x".repeat(200)));
        assert!(long.starts_with("cannot listen on ") && long.contains("r3e-test-7.sock"), "{long}");
        let file = temp.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(message(&file).starts_with("cannot create the folder "));
    }

    #[test]
    fn only_abandoned_sockets_are_removed() {
        let temp = tempfile::tempdir().unwrap();
        let path = |name: &str| temp.path().join(name);
        let [own, listened_on, left, of_another_process, file] =
            ["r3e-test-7.sock", "r3e-elsewhere-8.2.sock", "r3e-left-9.sock", "r3e-reused-1.sock", "r3e-file-10.txt"]
                .map(path);
        let _listeners = [&own, &listened_on].map(|it| UnixListener::bind(it).unwrap());
        for nobody_listens in [&left, &of_another_process] {
            drop(UnixListener::bind(nobody_listens).unwrap());
        }
        std::fs::write(&file, "").unwrap();
        {
            let _others_start = lock(temp.path()).unwrap();
            remove_abandoned(&own);
            assert!(left.exists(), "under the lock, a bound socket may not listen yet");
        }
        remove_abandoned(&own);
        let mut stay = [own, listened_on, file];
        stay.sort();
        assert_eq!(fs::list(temp.path()).unwrap(), stay);
    }
}
