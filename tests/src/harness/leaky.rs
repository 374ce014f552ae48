//! Driving `r3e-leaky`, and measuring it as the monitor does: with a purge, through its control socket.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use r3e_common::runtime::control::{PurgeStats, Stats};

use super::processes::command;
use crate::leaky::PROGRAM;

/// The program at work; killed when dropped.
#[derive(Debug)]
pub struct Leaky {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    socket: PathBuf,
}

impl Leaky {
    /// Starts that build of it, with its socket in that folder, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
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

    /// Has it do one cycle.
    ///
    /// # Errors
    /// When it does not.
    pub fn cycle(&mut self) -> io::Result<()> {
        self.requests.write_all(b"\n")?;
        self.expect("done")
    }

    fn expect(&mut self, word: &str) -> io::Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.starts_with(word) { Ok(()) } else { Err(io::Error::other(format!("it said {line:?}, not {word}"))) }
    }

    /// Has it purge, and gives what it holds then: what the monitor's watch keeps.
    ///
    /// # Errors
    /// When there is no answer, or one that is not understood.
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
