//! The kernel's account of this process: what is resident, its threads, descriptors and connections.
//!
//! Measured with 218 MB resident: `status` 17 µs, the descriptors 8 µs, `smaps_rollup` 7 ms, as it walks all pages; the
//! tables of TCP sockets in `/proc/self/net` 5 ms each, as they are the machine's, so sockets are asked one by one.

use std::io;
use std::path::{Path, PathBuf};

use super::{MemoryError, raw};
use crate::runtime::fs::{self, FsError};

const STATUS: &str = "/proc/self/status";
const ROLLUP: &str = "/proc/self/smaps_rollup";

/// What `status` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    /// `VmRSS`
    pub(super) rss_bytes: u64,
    /// `VmHWM`
    pub(super) peak_rss_bytes: u64,
    /// `RssAnon`; none where the kernel does not report it (before Linux 4.5, and some sandboxes).
    pub(super) rss_anon_bytes: Option<u64>,
    /// `Threads`
    pub(super) threads: u64,
}

/// What `/proc/self/status` says now.
pub(super) fn account() -> Result<Account, FsError> {
    let status = fs::read_text(Path::new(STATUS), 64 << 10)?;
    let required = |name| field(&status, name).ok_or_else(|| missing(STATUS, name));
    Ok(Account {
        rss_bytes: required("VmRSS:")? * 1024,
        peak_rss_bytes: required("VmHWM:")? * 1024,
        rss_anon_bytes: field(&status, "RssAnon:").map(|kib| kib * 1024),
        threads: required("Threads:")?,
    })
}

/// What is in memory of this process now: `VmRSS`, as everyone else sees it. Kernels before 6.16 sum it up from time to
/// time, and it lags by up to 128 KiB a core there.
///
/// # Errors
/// When the kernel does not say.
pub fn rss_bytes() -> Result<u64, MemoryError> {
    Ok(account()?.rss_bytes)
}

/// What is in memory of this process, with shared pages divided among those who share them. The dearest figure of all:
/// it takes milliseconds for hundreds of megabytes. A kernel that was built without it gives the whole resident set, which
/// is never less.
///
/// # Errors
/// When the kernel does not say.
pub fn pss_bytes() -> Result<u64, MemoryError> {
    let mut text = Vec::new();
    if fs::read_into(Path::new(ROLLUP), &mut text, 64 << 10)?.is_none() {
        return rss_bytes();
    }
    let kib = field(&String::from_utf8_lossy(&text), "Pss:").ok_or_else(|| missing(ROLLUP, "Pss:"))?;
    Ok(kib * 1024)
}

/// The number behind a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn missing(path: &str, name: &str) -> FsError {
    FsError::new("read", Path::new(path), io::Error::other(format!("no {name}")))
}

/// Descriptors that are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptors {
    /// All, without the one that lists them.
    pub(super) open: u64,
    /// Those that are TCP sockets with a peer.
    pub(super) connections: u64,
}

/// The descriptors of this process now.
pub(super) fn descriptors() -> Result<Descriptors, FsError> {
    let listed = fs::list(Path::new("/proc/self/fd"))?;
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse().ok();
    let connections = listed.iter().filter_map(number).filter(|it| raw::is_tcp_with_peer(*it)).count();
    Ok(Descriptors { open: listed.len().saturating_sub(1) as u64, connections: connections as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd as _;

    #[test]
    fn a_field_is_the_number_behind_its_name() {
        let text = "VmPeak:\t  9 kB\nVmRSS:\t  217920 kB\nThreads:\t3\nPss:   12 kB\nPss_Dirty:  7 kB\n";
        assert_eq!(field(text, "VmRSS:"), Some(217_920));
        assert_eq!(field(text, "Threads:"), Some(3));
        assert_eq!(field(text, "Pss:"), Some(12));
        assert_eq!(field(text, "VmHWM:"), None);
        assert_eq!(field("VmRSS:\n", "VmRSS:"), None);
    }

    #[test]
    fn what_is_resident_agrees_with_the_walk_over_all_pages() {
        // Other tests allocate meanwhile: of several readings the nearest counts.
        let differences = (0..50).map(|_| {
            let before = rss_bytes().unwrap();
            let text = std::fs::read_to_string(ROLLUP).unwrap();
            let walked = field(&text, "Rss:").unwrap() * 1024;
            walked.abs_diff(before) * 100 / walked
        });
        assert!(differences.min().unwrap() <= 2);
    }

    #[test]
    fn the_proportional_share_is_no_more_than_what_is_resident() {
        let shares = (0..50).map(|_| (pss_bytes().unwrap(), rss_bytes().unwrap()));
        assert!(shares.into_iter().any(|(pss, rss)| pss > 0 && pss <= rss));
    }

    #[test]
    fn only_tcp_sockets_with_a_peer_are_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        datagrams.connect(address).unwrap();
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        for connected in [client.as_raw_fd(), server.as_raw_fd()] {
            assert!(raw::is_tcp_with_peer(connected));
        }
        let others = [listener.as_raw_fd(), datagrams.as_raw_fd(), one.as_raw_fd(), file.as_raw_fd(), -1];
        for other in others {
            assert!(!raw::is_tcp_with_peer(other));
        }
        let held = descriptors().unwrap();
        assert!(held.connections >= 2 && held.open >= held.connections + 5, "{held:?}");
        drop(server);
        assert!(raw::is_tcp_with_peer(client.as_raw_fd()), "half closed is not gone");
    }
}
