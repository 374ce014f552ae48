//! The client of the control socket: one request, one response, bounded in time and size.

use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use r3e_common::runtime::control::Endpoint;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::heap::MAX_DUMP_BYTES;

/// How long a program may take to answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// How long a purge may take, and a profile, which may have to wait for a purge. For gigabytes it is some tenths of a second.
const PURGE_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of a response: some thousand tasks.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// How many characters of a refusal are shown.
const MAX_SHOWN: usize = 200;

/// A request to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    endpoint: Endpoint,
    query: &'static str,
}

impl From<Endpoint> for Question {
    fn from(endpoint: Endpoint) -> Self {
        Self { endpoint, query: "" }
    }
}

impl Question {
    /// Switches the sampling of allocations on, after dropping all samples if `reset`, or off.
    pub(crate) fn switch_profile(active: bool, reset: bool) -> Self {
        let query = match (active, reset) {
            (true, false) => "?active=true",
            (true, true) => "?active=true&reset=true",
            (false, _) => "?active=false",
        };
        Self { endpoint: Endpoint::SwitchProfile, query }
    }

    fn timeout(self) -> Duration {
        if matches!(self.endpoint, Endpoint::Purge | Endpoint::Heap) { PURGE_TIMEOUT } else { TIMEOUT }
    }

    fn max_bytes(self) -> usize {
        if self.endpoint == Endpoint::Heap { MAX_DUMP_BYTES } else { MAX_ANSWER_BYTES }
    }
}

/// Why there is no usable response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// Nothing listens on the socket.
    #[error("its process is gone")]
    Dead,
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Late(Duration),
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("cannot make the request: {0}")]
    Request(hyper::http::uri::InvalidUri),
    #[error("the answer broke off: {0}")]
    Broken(hyper::Error),
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
    #[error("it refused: {0}")]
    Refused(String),
    #[error("the answer is not understood: {0}")]
    NotUnderstood(serde_json::Error),
}

/// Sends a request to the program behind a socket and parses the JSON of its response.
pub(crate) async fn ask<T: DeserializeOwned>(socket: &Path, question: impl Into<Question>) -> Result<T, NoAnswer> {
    serde_json::from_slice(&ask_bytes(socket, question).await?).map_err(NoAnswer::NotUnderstood)
}

/// The same for a response that is not JSON.
pub(crate) async fn ask_bytes(socket: &Path, question: impl Into<Question>) -> Result<Bytes, NoAnswer> {
    let question = question.into();
    let timeout = question.timeout();
    tokio::time::timeout(timeout, exchange(socket, question)).await.map_err(|_| NoAnswer::Late(timeout))?
}

async fn exchange(socket: &Path, question: Question) -> Result<Bytes, NoAnswer> {
    let stream = UnixStream::connect(socket).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => NoAnswer::Dead,
        _ => NoAnswer::Connect(error),
    })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(NoAnswer::Broken)?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = question.endpoint.method();
    *request.uri_mut() =
        format!("{}{}", question.endpoint.path(), question.query).parse().map_err(NoAnswer::Request)?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, header::HeaderValue::from_static("localhost"));
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    let answer = async {
        let response = sender.send_request(request).await.map_err(NoAnswer::Broken)?;
        let status = response.status();
        let max_bytes = question.max_bytes();
        let body = Limited::new(response.into_body(), max_bytes)
            .collect()
            .await
            .map_err(|error| unreadable(error, max_bytes))?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(answer);
    // The connection is driven here, so that no task is left behind. Its errors show in the response.
    let (status, body) = tokio::select! {
        answer = &mut answer => answer?,
        _ended = connection => answer.await?,
    };
    if status != StatusCode::OK {
        let reason: String = String::from_utf8_lossy(&body).trim().chars().take(MAX_SHOWN).collect();
        return Err(NoAnswer::Refused(if reason.is_empty() {
            status.to_string()
        } else {
            format!("{status}: {reason}")
        }));
    }
    Ok(body)
}

fn unreadable(error: Box<dyn std::error::Error + Send + Sync>, max_bytes: usize) -> NoAnswer {
    match error.downcast::<hyper::Error>() {
        Ok(error) => NoAnswer::Broken(*error),
        Err(other) if other.is::<LengthLimitError>() => NoAnswer::TooLong(max_bytes),
        Err(other) => NoAnswer::Refused(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::Socket;
    use crate::survey::ask_all;
    use r3e_common::runtime::control::TaskStats;
    use std::path::PathBuf;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    /// A program that reads one request and answers with those bytes, or not at all.
    fn program(folder: &Path, name: &str, answer: Option<Vec<u8>>) -> PathBuf {
        let path = folder.join(name);
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let Some(answer) = answer else { std::future::pending().await };
            // Who asked may have had enough.
            let _gone = stream.write_all(&answer).await;
        });
        path
    }

    fn http(status: &str, body: &str) -> Vec<u8> {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    #[tokio::test]
    async fn answers_and_each_kind_of_failure_are_distinguished() {
        let folder = tempfile::tempdir().unwrap();
        let tasks = r#"[{"name": "x", "age_s": 1.5, "place": "a.rs:7"}]"#;
        let path = program(folder.path(), "good", Some(http("200 OK", tasks)));
        let answer: Vec<TaskStats> = ask(&path, Endpoint::Tasks).await.unwrap();
        assert_eq!(answer, [TaskStats { name: "x".into(), age_s: 1.5, place: "a.rs:7".into() }]);

        let long = http("200 OK", &"x".repeat(MAX_ANSWER_BYTES + 1));
        let endless = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &vec![b'x'; MAX_ANSWER_BYTES * 2]].concat();
        let cases: [(&str, Vec<u8>, &str); 7] = [
            ("refusal", http("503 Service Unavailable", " busy \n"), "it refused: 503 Service Unavailable: busy"),
            ("silent refusal", http("404 Not Found", ""), "it refused: 404 Not Found"),
            ("no JSON", http("200 OK", "hello"), "the answer is not understood: expected value"),
            ("half", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[".to_vec(), "the answer broke off"),
            ("no HTTP", b"220 smtp ready\r\n\r\n".to_vec(), "the answer broke off"),
            ("long", long, "more than 1048576 bytes"),
            ("endless", endless, "more than 1048576 bytes"),
        ];
        for (name, answer, expected) in cases {
            let path = program(folder.path(), name, Some(answer));
            let error = ask::<Vec<TaskStats>>(&path, Endpoint::Tasks).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
        std::fs::write(folder.path().join("file"), "").unwrap();
        drop(std::os::unix::net::UnixListener::bind(folder.path().join("left")).unwrap());
        for name in ["missing", "left", "file"] {
            let error = ask::<Vec<TaskStats>>(&folder.path().join(name), Endpoint::Tasks).await.unwrap_err();
            assert!(matches!(error, NoAnswer::Dead), "{name}: {error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silent_programs_are_given_up_together() {
        let folder = tempfile::tempdir().unwrap();
        let sockets: Vec<Socket> = (1..=20)
            .map(|pid| Socket {
                program: "silent".into(),
                pid: pid.into(),
                path: program(folder.path(), &format!("silent-{pid}.sock"), None),
            })
            .collect();
        let begun = tokio::time::Instant::now();
        let replies = ask_all::<Vec<TaskStats>>(sockets, Endpoint::Tasks).await;
        assert_eq!(begun.elapsed().as_secs(), TIMEOUT.as_secs(), "all at the same time");
        assert_eq!(replies.len(), 20);
        for (reply, pid) in replies.iter().zip(1..) {
            assert_eq!(reply.socket.pid, pid.into());
            assert!(matches!(reply.answer, Err(NoAnswer::Late(_))), "{reply:?}");
        }
    }
}
