//! One HTTP request on a connection of its own, to a control socket or to `r3e-monitor serve`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use r3e_common::runtime::control::Endpoint;
use serde::de::DeserializeOwned;

/// How long a program may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the program behind a control socket.
///
/// # Errors
/// If it does not answer.
pub(super) fn ask<T: DeserializeOwned>(socket: &Path, endpoint: Endpoint) -> anyhow::Result<T> {
    let stream = UnixStream::connect(socket).with_context(|| socket.display().to_string())?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let body = exchange(stream, endpoint.method().as_str(), endpoint.path())?;
    serde_json::from_slice(&body).with_context(|| format!("{}: {}", socket.display(), endpoint.path()))
}

/// Gets a page from this machine.
///
/// # Errors
/// If there is no whole answer with status 200.
pub(super) fn get(port: u16, path: &str) -> anyhow::Result<Vec<u8>> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    exchange(stream, "GET", path).with_context(|| path.to_owned())
}

fn exchange(mut stream: impl Read + Write, method: &str, path: &str) -> anyhow::Result<Vec<u8>> {
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let cut_off = |what: String| io::Error::new(ErrorKind::UnexpectedEof, what);
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n");
    let end = end.ok_or_else(|| cut_off(format!("an answer without a head, of {} bytes", answer.len())))?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let body = answer.split_off(end + 4);
    ensure!(head.starts_with("http/1.1 200 "), "{}: {}", head.lines().next().unwrap_or_default(), text(&body));
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("no Content-Length")?.trim().parse()?;
    if body.len() < length {
        return Err(cut_off(format!("{} of {length} bytes arrived", body.len())).into());
    }
    ensure!(body.len() == length, "{} bytes arrived, expected {length}", body.len());
    Ok(body)
}

/// Whether there was nobody to answer, or nobody any more.
pub(super) fn is_refused(error: &anyhow::Error) -> bool {
    const KINDS: [ErrorKind; 4] =
        [ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::UnexpectedEof];
    error.downcast_ref::<io::Error>().is_some_and(|it| KINDS.contains(&it.kind()))
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(200)]).trim().to_owned()
}
