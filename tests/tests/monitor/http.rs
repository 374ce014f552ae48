//! A server under test, and a client that sends exactly the bytes it is told to.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use r3e_tests::harness::{BOUND, Place, Running, events_with, until};
use serde_json::Value;

use crate::place::{log, logged, monitor};

/// A server at work there, on a port that the system chose.
pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Serves the cache of that place.
    pub(crate) fn start(place: &Place) -> Self {
        let serve = monitor(place, &["serve", "--listen", "127.0.0.1:0"]).set("cache.dir", "cache");
        let running = logged(serve);
        let listening = || events_with(&log(place), &["address"]).first()?.field("address").as_str()?.parse().ok();
        until("it listens", || listening().is_some());
        Self { running, address: listening().unwrap() }
    }

    /// Stops it as a supervisor does.
    pub(crate) fn stop(self) {
        self.running.signal("TERM");
        let _ended = self.running.wait().with_code(0);
    }

    /// Sends those bytes, and reads until the server closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        // It may refuse before it has read all.
        let _refused = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        answer
    }

    /// Asks for a path with those headers.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str]) -> Answer {
        let host = if headers.iter().any(|it| it.starts_with("Host:")) { "" } else { "Host: localhost\r\n" };
        let headers = headers.iter().fold(String::new(), |all, it| all + it + "\r\n");
        let request = format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
        Answer::read(&self.raw(request.as_bytes()))
    }

    /// Gets a path with those headers.
    pub(crate) fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.ask("GET", path, headers)
    }

    /// Gets a path, again as long as a source does not answer in time.
    pub(crate) fn get_when_ready(&self, path: &str) -> Answer {
        let mut answer = self.get(path, &[]);
        until(&format!("{path} is answered"), || {
            if answer.status == 503 {
                answer = self.get(path, &[]);
            }
            answer.status != 503
        });
        answer
    }

    /// Gets an answer of JSON.
    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path, &[]);
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{path}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.running.pid())).unwrap().count()
    }

    /// A figure of its memory, in KB.
    pub(crate) fn memory_kb(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to the end that it had told.
    pub(crate) whole: bool,
}

impl Answer {
    #[track_caller]
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: BTreeMap<String, String> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let rest = &bytes[end + 4..];
        let (body, whole) = match headers.get("content-length") {
            _ if headers.get("transfer-encoding").is_some_and(|it| it == "chunked") => unchunked(rest),
            Some(length) => (rest.to_vec(), length.parse() == Ok(rest.len())),
            None => (rest.to_vec(), true),
        };
        Self { status, headers, body, whole }
    }

    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|it| it == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            return (body, true);
        }
        if rest.len() < size + 2 {
            break;
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
    (body, false)
}
