//! A minimal client for the tests here, which sees the raw bytes on the wire.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use r3e_common::domain::Combination;

use super::Simulator;

/// A raw response.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    /// Put together from its chunks, not inflated.
    pub(super) body: Vec<u8>,
    /// Whether it came whole.
    pub(super) complete: bool,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text, inflated if need be.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if self.header("content-encoding") == Some("gzip") {
            flate2::read::GzDecoder::new(&self.body[..]).read_to_string(&mut text).unwrap();
        } else {
            text.push_str(std::str::from_utf8(&self.body).unwrap());
        }
        text
    }

    /// The entries of a listing.
    pub(super) fn entries(&self) -> Vec<Box<serde_json::value::RawValue>> {
        #[derive(serde::Deserialize)]
        struct Envelope {
            context: Context,
        }
        #[derive(serde::Deserialize)]
        struct Context {
            c: Column,
        }
        #[derive(serde::Deserialize)]
        struct Column {
            results: Vec<Box<serde_json::value::RawValue>>,
        }
        let text = self.text();
        serde_json::from_str::<Envelope>(&text).unwrap_or_else(|error| panic!("{error}: {text:.200}")).context.c.results
    }
}

/// One connection, with a session if one was made.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
    pub(super) cookie: Option<String>,
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream: BufReader::new(stream), cookie: None }
    }

    /// A connection with a session.
    pub(super) fn with_session(simulator: &Simulator) -> Self {
        let mut client = Self::connect(simulator.addr());
        client.make_session();
        client
    }

    pub(super) fn make_session(&mut self) -> Answer {
        let answer = self.get("/leaderboard/?car_class=class-1703&track=1693", &[]);
        let cookies: Vec<&str> =
            answer.all("set-cookie").into_iter().filter_map(|cookie| cookie.split(';').next()).collect();
        self.cookie = Some(cookies.join("; "));
        answer
    }

    pub(super) fn send(&mut self, path: &str, headers: &[(&str, &str)]) {
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: sim\r\nUser-Agent: raw\r\n");
        if let Some(cookie) = &self.cookie {
            write!(request, "Cookie: {cookie}\r\n").unwrap();
        }
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        request.push_str("\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
    }

    pub(super) fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(path, headers);
        self.receive(u64::MAX)
    }

    pub(super) fn listing(&mut self, board: Combination, start: u64, count: u64) -> Answer {
        self.listing_with(board, start, count, &[])
    }

    pub(super) fn listing_with(
        &mut self,
        board: Combination,
        start: u64,
        count: u64,
        headers: &[(&str, &str)],
    ) -> Answer {
        let headers: Vec<_> = [("X-Requested-With", "XMLHttpRequest")].iter().chain(headers).copied().collect();
        self.get(&path(board, start, count), &headers)
    }

    /// Reads an answer, or its first bytes.
    pub(super) fn receive(&mut self, most: u64) -> Answer {
        let mut answer = Answer::default();
        let Some(status) = self.line() else { return answer };
        answer.status = status.split(' ').nth(1).unwrap().parse().unwrap();
        while let Some(line) = self.line().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            answer.headers.push((name.to_lowercase(), value.to_owned()));
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.complete = self.chunks(&mut answer.body, most).is_some();
        } else {
            let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
            let part = self.stream.by_ref().take(length.min(most)).read_to_end(&mut answer.body);
            answer.complete = part.is_ok() && answer.body.len() as u64 == length;
        }
        answer
    }

    fn chunks(&mut self, body: &mut Vec<u8>, most: u64) -> Option<()> {
        loop {
            let length = u64::from_str_radix(&self.line()?, 16).ok()?;
            let before = body.len();
            self.stream.by_ref().take(length).read_to_end(body).ok()?;
            if (body.len() - before) as u64 != length || !self.line()?.is_empty() || body.len() as u64 >= most {
                return None;
            }
            if length == 0 {
                return Some(());
            }
        }
    }

    /// A line; none when the connection has ended.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).unwrap_or(0);
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// Whether nothing is left to read: no data and no end of the connection.
    pub(super) fn has_nothing(&self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).unwrap();
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        self.stream.buffer().is_empty() && peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Waits until the other side closes the connection.
    pub(super) fn wait_for_close(&mut self) {
        let mut rest = Vec::new();
        // A reset is a close as well.
        let _reset = self.stream.read_to_end(&mut rest);
    }
}

/// The address of a listing.
pub(super) fn path(board: Combination, start: u64, count: u64) -> String {
    format!("/leaderboard/listing/0?track={}&car_class=class-{}&start={start}&count={count}", board.track, board.class)
}
