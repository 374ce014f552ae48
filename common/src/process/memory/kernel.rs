//! The kernel's account of this process: what is resident, its threads, descriptors and connections.
//!
//! Measured with 218 MB resident: `status` 17 µs, the descriptors 8 µs, `smaps_rollup` 7 ms, as it walks all pages; the
//! tables of TCP sockets in `/proc/self/net` 5 ms each, as they are the machine's, so sockets are asked one by one.

use std::io;
use std::path::{Path, PathBuf};

use super::{MemoryError, raw};
use crate::store::fs::{self, StoreError};

const STATUS: &str = "/proc/self/status";
const MAPS: &str = "/proc/self/maps";
const ROLLUP: &str = "/proc/self/smaps_rollup";

/// What `status` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    /// `VmRSS`
    pub(super) rss_bytes: u64,
    /// `VmHWM`
    pub(super) peak_rss_bytes: u64,
    /// `Threads`
    pub(super) threads: u64,
}

/// What `/proc/self/status` says now.
pub(super) fn account() -> Result<Account, StoreError> {
    let status = fs::read_text(Path::new(STATUS), 64 << 10)?;
    let field = |name| field(&status, name).ok_or_else(|| missing(STATUS, name));
    Ok(Account {
        rss_bytes: field("VmRSS:")? * 1024,
        peak_rss_bytes: field("VmHWM:")? * 1024,
        threads: field("Threads:")?,
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

/// Lets go of the code that is in memory: of a daemon that waits, most of it was needed at its start only, and counts as
/// resident for ever. What is executed next is mapped again, from the system's file cache as a rule. The scheduler has 7 MB
/// resident without this, and 4 to 5 with it.
///
/// # Errors
/// When the kernel does not say where code is, or refuses.
pub fn let_go_of_code() -> Result<(), MemoryError> {
    let maps = fs::read_text(Path::new(MAPS), 4 << 20)?;
    let let_go = raw::let_go_of_code(&maps);
    let_go.map_err(|cause| StoreError::new("let go of code in", Path::new(MAPS), cause))?;
    Ok(())
}

/// Like [`let_go_of_code`], for those whose work goes on without.
pub fn let_go_of_code_or_say() {
    if let Err(error) = let_go_of_code() {
        tracing::debug!(%error, "code that is not needed stays in memory");
    }
}

/// The number behind a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn missing(path: &str, name: &str) -> StoreError {
    StoreError::new("read", Path::new(path), io::Error::other(format!("no {name}")))
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
pub(super) fn descriptors() -> Result<Descriptors, StoreError> {
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
    fn code_that_was_let_go_of_is_not_resident_and_runs_again() {
        let of_files = || field(&std::fs::read_to_string(STATUS).unwrap(), "RssFile:").unwrap();
        // Other tests run code meanwhile: of several trials the best counts.
        let smaller = (0..50).any(|_| {
            let before = of_files();
            let_go_of_code().unwrap();
            of_files() < before
        });
        assert!(smaller);
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
