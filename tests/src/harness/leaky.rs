//! Drives `r3e-leaky`, and measures it as the monitor does: by purging it through its control socket.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use r3e_common::runtime::control::{PurgeStats, Stats};

use super::processes::command;
use crate::leaky::PROGRAM;

/// The running program. Dropping it kills it.
#[derive(Debug)]
pub struct Leaky {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    socket: PathBuf,
}

impl Leaky {
    /// Starts this build of it, with its socket in `folder`, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn start(program: &Path, runtime_dir: &Path, arguments: &[String]) -> io::Result<Self> {
        let mut command = command(program, Path::new("/"));
        command.arg("--runtime-dir").arg(runtime_dir).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let socket = runtime_dir.join(format!("{PROGRAM}-{}.sock", child.id()));
        let requests = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut leaky = Self { child, requests, answers, socket };
        leaky.expect("ready")?;
        Ok(leaky)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Makes it run one cycle.
    ///
    /// # Errors
    /// If it does not.
    pub fn cycle(&mut self) -> io::Result<()> {
        self.requests.write_all(b"\n")?;
        self.expect("done")
    }

    fn expect(&mut self, word: &str) -> io::Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.starts_with(word) { Ok(()) } else { Err(io::Error::other(format!("it said {line:?}, not {word}"))) }
    }

    /// Makes it purge, and returns its figures afterwards, as the monitor's watch records them.
    ///
    /// # Errors
    /// If there is no answer, or it cannot be parsed.
    pub fn purge(&self) -> io::Result<Stats> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.write_all(b"POST /purge HTTP/1.1\r\nhost: r3e\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(io::Error::other(format!("a purge was answered with {answer:?}")));
        }
        Ok(serde_json::from_str::<PurgeStats>(body)?.after)
    }
}

impl Drop for Leaky {
    fn drop(&mut self) {
        // It may have ended by itself; what it leaks ends with it.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
        // One that is killed leaves its socket.
        let _gone = std::fs::remove_file(&self.socket);
    }
}
