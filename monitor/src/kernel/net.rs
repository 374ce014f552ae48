//! The kernel's socket tables, `/proc/{pid}/net`, by inode.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use r3e_common::runtime::fs;
use r3e_common::runtime::fs::FsError;
use serde::Serialize;

/// Upper bound for a table of the kernel, which has 150 bytes for each connection of the network namespace.
const MAX_TABLE_BYTES: u64 = 32 << 20;

/// A connection or a listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Connection {
    /// `tcp`, `tcp6`, `udp`, `udp6` or `unix`.
    pub(crate) protocol: &'static str,
    /// The local address or path; empty if unnamed.
    pub(crate) local: String,
    /// The remote address, if there is one and it is known.
    pub(crate) remote: Option<String>,
    /// The state.
    pub(crate) state: &'static str,
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, local, remote, state } = self;
        write!(f, "{protocol} ")?;
        if !local.is_empty() {
            write!(f, "{local} ")?;
        }
        if let Some(remote) = remote {
            write!(f, "> {remote} ")?;
        }
        f.write_str(state)
    }
}

/// All sockets of the process's network namespace.
pub(super) fn all(process: &Path) -> Result<HashMap<u64, Connection>, FsError> {
    let mut all = HashMap::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        add(&mut all, process, protocol, |line| internet(protocol, line))?;
    }
    add(&mut all, process, "unix", unix)?;
    Ok(all)
}

fn add(
    all: &mut HashMap<u64, Connection>,
    process: &Path,
    protocol: &str,
    parse: impl Fn(&str) -> Option<(u64, Connection)>,
) -> Result<(), FsError> {
    let path = process.join("net").join(protocol);
    // The table is missing in a kernel without IPv6.
    if fs::modified(&path)?.is_some() {
        all.extend(fs::read_text(&path, MAX_TABLE_BYTES)?.lines().skip(1).filter_map(parse));
    }
    Ok(())
}

/// `0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 …`
fn internet(protocol: &'static str, line: &str) -> Option<(u64, Connection)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, remote) = (address(fields.get(1)?)?, address(fields.get(2)?)?);
    let state = state(fields.get(3)?);
    let remote = (remote.port() != 0).then(|| remote.to_string());
    Some((fields.get(9)?.parse().ok()?, Connection { protocol, local: local.to_string(), remote, state }))
}

/// `0100007F:1F90`: 32-bit words in native byte order, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let words: Vec<u32> = (0..host.len() / 8)
        .map(|word| u32::from_str_radix(host.get(word * 8..word * 8 + 8)?, 16).ok())
        .collect::<Option<_>>()?;
    let ip = match *words.as_slice() {
        [word] => IpAddr::from(Ipv4Addr::from(word.to_ne_bytes())),
        [a, b, c, d] => {
            let mut bytes = [0; 16];
            for (into, word) in bytes.chunks_exact_mut(4).zip([a, b, c, d]) {
                into.copy_from_slice(&word.to_ne_bytes());
            }
            IpAddr::from(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// The states of `include/net/tcp_states.h`.
fn state(code: &str) -> &'static str {
    match code {
        "01" => "established",
        "02" => "syn-sent",
        "03" => "syn-received",
        "04" => "fin-wait-1",
        "05" => "fin-wait-2",
        "06" => "time-wait",
        "07" => "closed",
        "08" => "close-wait",
        "09" => "last-ack",
        "0A" => "listening",
        "0B" => "closing",
        _ => "unknown",
    }
}

/// `0000000000000000: 00000002 00000000 00010000 0001 01 77 /run/r3e/x.sock`
fn unix(line: &str) -> Option<(u64, Connection)> {
    /// Flag of a listening socket (`__SO_ACCEPTCON`).
    const LISTENS: u32 = 1 << 16;
    let mut rest = line;
    let mut field = || {
        let (field, after) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
        rest = after;
        field
    };
    let [_number, _references, _protocol, flags, _kind, state, inode] = std::array::from_fn(|_| field());
    let listens = u32::from_str_radix(flags, 16).ok()? & LISTENS != 0;
    let state = match (state, listens) {
        (_, true) => "listening",
        ("03", _) => "connected",
        ("02", _) => "connecting",
        ("04", _) => "disconnecting",
        _ => "unconnected",
    };
    // The rest is the path, which may contain blanks.
    let local = rest.trim_start().to_owned();
    Some((inode.parse().ok()?, Connection { protocol: "unix", local, remote: None, state }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_parsed() {
        let shown = |found: Option<(u64, Connection)>| found.map(|(inode, it)| format!("{inode}: {it}"));
        let rest = "00000000:00000000 00:00000000 00000000     0        0 77 1 0 100 0 0 10 0";
        let tcp = |ends: &str| shown(internet("tcp", &format!("   0: {ends} {rest}")));
        if cfg!(target_endian = "little") {
            assert_eq!(tcp("0100007F:1F90 00000000:0000 0A").unwrap(), "77: tcp 127.0.0.1:8080 listening");
            let both = tcp("0100007F:C350 0101A8C0:01BB 01").unwrap();
            assert_eq!(both, "77: tcp 127.0.0.1:50000 > 192.168.1.1:443 established");
            let six = tcp("00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A").unwrap();
            assert_eq!(six, "77: tcp [::1]:80 listening");
        }
        for none in ["", "01:0050 00000000:0000 0A", "x:0050 00000000:0000 0A", "0100007F 00000000:0000 0A"] {
            assert_eq!(tcp(none), None, "{none}");
        }
        let socket = |line| shown(unix(line));
        let listening = "0000000000000000: 00000002 00000000 00010000 0001 01    77 /run/a b.sock";
        assert_eq!(socket(listening).unwrap(), "77: unix /run/a b.sock listening");
        assert_eq!(socket("0: 00000003 00000000 00000000 0001 03 78").unwrap(), "78: unix connected");
        assert_eq!(socket("Num RefCount"), None);
    }
}
