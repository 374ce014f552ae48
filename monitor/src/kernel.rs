//! File descriptors and connections of a process, from `proc(5)`. They are available even if the process hangs.

mod net;

use std::path::{Path, PathBuf};

use r3e_common::runtime::fs;
use r3e_common::runtime::fs::FsError;
use serde::Serialize;

pub(crate) use net::Connection;

/// Upper bound of the descriptors that are read; more are only counted.
const MAX_DESCRIPTORS: usize = 10_000;

/// An open file descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Descriptor {
    pub(crate) fd: u32,
    /// `file`, `socket`, `pipe`, or an anonymous inode such as `eventpoll`.
    pub(crate) kind: String,
    /// The path; of a socket its addresses, if known.
    pub(crate) target: String,
}

/// The open file descriptors of a process.
#[derive(Debug, Serialize)]
pub(crate) struct Descriptors {
    /// By number.
    pub(crate) fds: Vec<Descriptor>,
    /// Number of further descriptors.
    pub(crate) more: usize,
}

/// Whether the process exists.
pub(crate) fn is_alive(pid: u32) -> Result<bool, FsError> {
    fs::modified(&folder(pid)).map(|it| it.is_some())
}

/// Start time in ticks since boot, which together with the process id identifies a process. `None` if it does not exist.
pub(crate) fn start_ticks(pid: u32) -> Option<i64> {
    let stat = fs::read_text(&folder(pid).join("stat"), 64 << 10).ok()?;
    // The second field is the name in parentheses, which may contain anything; the 22nd is the start time.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The open file descriptors of a process.
pub(crate) fn descriptors(pid: u32) -> Result<Descriptors, FsError> {
    let connections = net::all(&folder(pid))?;
    let (targets, more) = targets(pid)?;
    let describe = |(fd, target): (u32, PathBuf)| {
        let target = target.to_string_lossy().into_owned();
        let (kind, inode) = kind(&target);
        let connection = inode.and_then(|inode| connections.get(&inode));
        Descriptor { fd, kind, target: connection.map_or(target, ToString::to_string) }
    };
    Ok(Descriptors { fds: targets.into_iter().map(describe).collect(), more })
}

/// The connections of a process, including listening sockets.
pub(crate) fn connections(pid: u32) -> Result<Vec<Connection>, FsError> {
    let mut all = net::all(&folder(pid))?;
    let (targets, _more) = targets(pid)?;
    let inodes = targets.iter().filter_map(|(_, target)| kind(&target.to_string_lossy()).1);
    Ok(inodes.filter_map(|inode| all.remove(&inode)).collect())
}

fn folder(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// The targets of the descriptors, by number, and how many more there are.
fn targets(pid: u32) -> Result<(Vec<(u32, PathBuf)>, usize), FsError> {
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut links: Vec<(u32, PathBuf)> =
        fs::list(&folder(pid).join("fd"))?.into_iter().filter_map(|path| Some((number(&path)?, path))).collect();
    links.sort_unstable();
    let more = links.len().saturating_sub(MAX_DESCRIPTORS);
    links.truncate(MAX_DESCRIPTORS);
    let mut targets = Vec::with_capacity(links.len());
    for (fd, link) in links {
        // It may have been closed meanwhile.
        if let Some(target) = fs::link_target(&link)? {
            targets.push((fd, target));
        }
    }
    Ok((targets, more))
}

/// The kind of a target, and the inode of a socket.
fn kind(target: &str) -> (String, Option<u64>) {
    if target.starts_with('/') {
        return ("file".to_owned(), None);
    }
    match target.split_once(':') {
        Some(("socket", inode)) => ("socket".to_owned(), inode.trim_matches(['[', ']']).parse().ok()),
        Some(("anon_inode", what)) => (what.trim_matches(['[', ']']).to_owned(), None),
        Some((kind, _)) => (kind.to_owned(), None),
        None => ("other".to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::UnixListener;

    #[test]
    fn open_files_and_connections_of_this_process_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = tempfile::NamedTempFile::new_in(folder.path()).unwrap();
        let control = folder.path().join("control.sock");
        let unix = UnixListener::bind(&control).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (_server, peer) = listener.accept().unwrap();

        let open = descriptors(std::process::id()).unwrap();
        let of = |fd: i32| {
            let found = open.fds.iter().find(|it| i64::from(it.fd) == i64::from(fd)).unwrap();
            (found.kind.clone(), found.target.clone())
        };
        assert_eq!(of(file.as_raw_fd()), ("file".into(), file.path().display().to_string()));
        assert_eq!(of(client.as_raw_fd()), ("socket".into(), format!("tcp {peer} > {address} established")));
        assert_eq!(of(unix.as_raw_fd()), ("socket".into(), format!("unix {} listening", control.display())));

        let connections = connections(std::process::id()).unwrap();
        let shown: Vec<String> = connections.iter().map(Connection::to_string).collect();
        for expected in [
            format!("tcp {address} listening"),
            format!("tcp {peer} > {address} established"),
            format!("tcp {address} > {peer} established"),
        ] {
            assert!(shown.contains(&expected), "{expected} in {shown:?}");
        }
    }

    #[test]
    fn liveness() {
        let us = std::process::id();
        assert!(is_alive(us).unwrap());
        assert!(start_ticks(us).unwrap() > 0);
        // Larger than any process id.
        assert!(!is_alive(u32::MAX).unwrap());
        assert_eq!(start_ticks(u32::MAX), None);
    }

    #[test]
    fn kinds_of_targets() {
        assert_eq!(kind("/var/lib/x (deleted)"), ("file".into(), None));
        assert_eq!(kind("socket:[77]"), ("socket".into(), Some(77)));
        assert_eq!(kind("pipe:[78]"), ("pipe".into(), None));
        assert_eq!(kind("anon_inode:[eventpoll]"), ("eventpoll".into(), None));
        assert_eq!(kind("anon_inode:inotify"), ("inotify".into(), None));
        assert_eq!(kind(""), ("other".into(), None));
    }
}
