//! Asking one program through its control socket: one request, one answer, bounded in time and size.

use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::heap::MAX_DUMP_BYTES;

/// How long a program may take to answer a question: it only has to look.
pub(crate) const TO_ANSWER: Duration = Duration::from_secs(2);

/// How long it may take to purge, which is work: some tenths of a second for gigabytes.
pub(crate) const TO_PURGE: Duration = Duration::from_secs(5);

/// The most bytes of an answer: some thousand tasks.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// So many characters of a refusal are repeated.
const REPEATED: usize = 200;

/// What is asked of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// What it holds.
    Stats,
    /// What it is doing, task by task.
    Tasks,
    /// What each arena of its allocator holds.
    Arenas,
    /// That it gives back what it holds and does not use.
    Purge,
    /// What holds what it holds, as its allocator sampled it.
    Heap,
    /// Whether that can be asked.
    Profile,
    /// That its allocator samples from now on, or no more; that it forgets what it has sampled.
    SwitchProfile {
        /// Whether it is to sample.
        active: bool,
        /// Whether it is to forget.
        reset: bool,
    },
}

impl Question {
    fn request(self) -> (Method, &'static str) {
        match self {
            Self::Stats => (Method::GET, "/stats"),
            Self::Tasks => (Method::GET, "/tasks"),
            Self::Arenas => (Method::GET, "/arenas"),
            Self::Purge => (Method::POST, "/purge"),
            Self::Heap => (Method::GET, "/heap"),
            Self::Profile => (Method::GET, "/profile"),
            Self::SwitchProfile { active: true, reset: false } => (Method::POST, "/profile?active=true"),
            Self::SwitchProfile { active: true, reset: true } => (Method::POST, "/profile?active=true&reset=true"),
            Self::SwitchProfile { active: false, .. } => (Method::POST, "/profile?active=false"),
        }
    }

    /// How long the answer may take.
    pub(crate) fn bound(self) -> Duration {
        match self {
            Self::Stats | Self::Tasks | Self::Arenas | Self::Profile | Self::SwitchProfile { .. } => TO_ANSWER,
            // A profile may have to wait for a purge.
            Self::Purge | Self::Heap => TO_PURGE,
        }
    }

    /// The most bytes of the answer.
    fn most_bytes(self) -> usize {
        if self == Self::Heap { MAX_DUMP_BYTES } else { MAX_ANSWER_BYTES }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// Nobody listens: the process is gone, and the socket with it or left behind.
    #[error("its process is gone")]
    Dead,
    /// The process is there and says nothing.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Late(Duration),
    /// The socket cannot be used.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// What came is no HTTP.
    #[error("the answer broke off: {0}")]
    Broken(hyper::Error),
    /// The answer is too long.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
    /// It does not do what was asked.
    #[error("it refused: {0}")]
    Refused(String),
    /// The answer does not say what it should.
    #[error("the answer is not understood: {0}")]
    NotUnderstood(serde_json::Error),
}

/// Asks the program behind a socket.
///
/// # Errors
/// When there is no answer in time, or one that is not understood.
pub(crate) async fn ask<T: DeserializeOwned>(socket: &Path, question: Question) -> Result<T, NoAnswer> {
    serde_json::from_slice(&ask_bytes(socket, question).await?).map_err(NoAnswer::NotUnderstood)
}

/// Asks likewise for what is no JSON.
///
/// # Errors
/// When there is no answer in time.
pub(crate) async fn ask_bytes(socket: &Path, question: Question) -> Result<Bytes, NoAnswer> {
    let bound = question.bound();
    tokio::time::timeout(bound, exchange(socket, question)).await.map_err(|_| NoAnswer::Late(bound))?
}

async fn exchange(socket: &Path, question: Question) -> Result<Bytes, NoAnswer> {
    let stream = UnixStream::connect(socket).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => NoAnswer::Dead,
        _ => NoAnswer::Connect(error),
    })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(NoAnswer::Broken)?;
    let (method, path) = question.request();
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = method;
    *request.uri_mut() = hyper::Uri::from_static(path);
    let headers = request.headers_mut();
    headers.insert(header::HOST, header::HeaderValue::from_static("localhost"));
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    let answer = async {
        let response = sender.send_request(request).await.map_err(NoAnswer::Broken)?;
        let status = response.status();
        let most = question.most_bytes();
        let body = Limited::new(response.into_body(), most).collect().await.map_err(|error| unreadable(error, most))?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(answer);
    // The connection lives and ends here: no task of its own is left behind. What ends it shows in the answer.
    let (status, body) = tokio::select! {
        answer = &mut answer => answer?,
        _ended = connection => answer.await?,
    };
    if status != StatusCode::OK {
        let said: String = String::from_utf8_lossy(&body).trim().chars().take(REPEATED).collect();
        return Err(NoAnswer::Refused(if said.is_empty() { status.to_string() } else { format!("{status}: {said}") }));
    }
    Ok(body)
}

fn unreadable(error: Box<dyn std::error::Error + Send + Sync>, most: usize) -> NoAnswer {
    match error.downcast::<hyper::Error>() {
        Ok(error) => NoAnswer::Broken(*error),
        Err(other) if other.is::<LengthLimitError>() => NoAnswer::TooLong(most),
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
    async fn an_answer_is_read_and_everything_else_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let tasks = r#"[{"name": "x", "age_s": 1.5, "place": "a.rs:7"}]"#;
        let path = program(folder.path(), "good", Some(http("200 OK", tasks)));
        let answer: Vec<TaskStats> = ask(&path, Question::Tasks).await.unwrap();
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
            let error = ask::<Vec<TaskStats>>(&path, Question::Tasks).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
        std::fs::write(folder.path().join("file"), "").unwrap();
        drop(std::os::unix::net::UnixListener::bind(folder.path().join("left")).unwrap());
        for name in ["missing", "left", "file"] {
            let error = ask::<Vec<TaskStats>>(&folder.path().join(name), Question::Tasks).await.unwrap_err();
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
        let replies = ask_all::<Vec<TaskStats>>(sockets, Question::Tasks).await;
        assert_eq!(begun.elapsed().as_secs(), TO_ANSWER.as_secs(), "all at the same time");
        assert_eq!(replies.len(), 20);
        for (reply, pid) in replies.iter().zip(1..) {
            assert_eq!(reply.socket.pid, pid.into());
            assert!(matches!(reply.answer, Err(NoAnswer::Late(_))), "{reply:?}");
        }
    }
}
