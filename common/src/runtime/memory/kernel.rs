//! Figures from the kernel: resident memory, threads, descriptors and connections of this process.
//!
//! With 218 MB resident, `status` takes 17 µs, listing descriptors 8 µs, and `smaps_rollup` 7 ms, since it walks all pages. The tables
//! in `/proc/self/net` take 5 ms each, since they cover all sockets of the machine, so each socket is asked for its peer instead.

use std::io;
use std::path::{Path, PathBuf};

use super::{MemoryError, raw};
use crate::runtime::fs::{self, FsError};

const STATUS_FILE: &str = "/proc/self/status";
const ROLLUP_FILE: &str = "/proc/self/smaps_rollup";

/// Figures from `/proc/self/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    /// `VmRSS`
    pub(super) rss_bytes: u64,
    /// `VmHWM`
    pub(super) peak_rss_bytes: u64,
    /// `RssAnon`; `None` if the kernel does not report it (before Linux 4.5, and some sandboxes).
    pub(super) rss_anon_bytes: Option<u64>,
    /// `Threads`
    pub(super) threads: u64,
}

pub(super) fn status() -> Result<Status, FsError> {
    let status = fs::read_text(Path::new(STATUS_FILE), 64 << 10)?;
    let required = |name| field(&status, name).ok_or_else(|| missing(STATUS_FILE, name));
    Ok(Status {
        rss_bytes: required("VmRSS:")? * 1024,
        peak_rss_bytes: required("VmHWM:")? * 1024,
        rss_anon_bytes: field(&status, "RssAnon:").map(|kib| kib * 1024),
        threads: required("Threads:")?,
    })
}

/// Resident memory of this process (`VmRSS`). Before Linux 6.16 it lags by up to 128 KiB per core.
///
/// # Errors
/// If the kernel does not report it.
pub fn rss_bytes() -> Result<u64, MemoryError> {
    Ok(status()?.rss_bytes)
}

/// Proportional set size of this process: shared pages are divided among the processes that share them. Takes milliseconds for
/// hundreds of megabytes. If the kernel was built without it, this is `VmRSS`, which is never less.
///
/// # Errors
/// If the kernel does not report it.
pub fn pss_bytes() -> Result<u64, MemoryError> {
    let mut text = Vec::new();
    if fs::read_into(Path::new(ROLLUP_FILE), &mut text, 64 << 10)?.is_none() {
        return rss_bytes();
    }
    let kib = field(&String::from_utf8_lossy(&text), "Pss:").ok_or_else(|| missing(ROLLUP_FILE, "Pss:"))?;
    Ok(kib * 1024)
}

/// The number after a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn missing(path: &str, name: &str) -> FsError {
    FsError::new("read", Path::new(path), io::Error::other(format!("no {name}")))
}

/// Numbers of open descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptors {
    /// All, except the one that lists them.
    pub(super) open: u64,
    /// TCP sockets with a peer.
    pub(super) connections: u64,
}

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
    fn a_field_is_the_number_after_its_name() {
        let text = "VmPeak:\t  9 kB\nVmRSS:\t  217920 kB\nThreads:\t3\nPss:   12 kB\nPss_Dirty:  7 kB\n";
        assert_eq!(field(text, "VmRSS:"), Some(217_920));
        assert_eq!(field(text, "Threads:"), Some(3));
        assert_eq!(field(text, "Pss:"), Some(12));
        assert_eq!(field(text, "VmHWM:"), None);
        assert_eq!(field("VmRSS:\n", "VmRSS:"), None);
    }

    #[test]
    fn rss_agrees_with_the_sum_over_all_pages() {
        // Other tests allocate meanwhile, so the closest of several readings counts.
        let differences = (0..50).map(|_| {
            let before = rss_bytes().unwrap();
            let text = std::fs::read_to_string(ROLLUP_FILE).unwrap();
            let walked = field(&text, "Rss:").unwrap() * 1024;
            walked.abs_diff(before) * 100 / walked
        });
        assert!(differences.min().unwrap() <= 2);
    }

    #[test]
    fn pss_is_at_most_rss() {
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
        assert!(raw::is_tcp_with_peer(client.as_raw_fd()), "a half-closed socket still has a peer");
    }
}
