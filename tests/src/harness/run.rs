//! Starting the loader as it ships, waiting for it within a bound, and what it said.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use r3e_common::domain::Catalog;
use serde_json::Value;

use crate::programs;

/// No run of a test takes longer, unless something is wrong.
const BOUND: Duration = Duration::from_mins(3);

/// A loader's command line, environment and folder.
#[derive(Debug, Clone)]
pub struct Loader {
    folder: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
}

impl Loader {
    /// A loader whose cache is `cache` in that folder, and that is as fast as the machine.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let it = Self { folder: folder.to_owned(), arguments: vec!["--json".into()], variables: Vec::new() };
        it.set("upstream.requests_per_second", "100000")
            .set("upstream.backoff_min", "5ms")
            .set("upstream.backoff_max", "50ms")
    }

    /// Appends an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a key of the configuration, by its variable.
    #[must_use]
    pub fn set(self, key: &str, value: &str) -> Self {
        self.variable(&format!("R3E_{}", key.replace('.', "__").to_uppercase()), value)
    }

    /// Sets a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets where the service is.
    #[must_use]
    pub fn upstream(self, address: &str) -> Self {
        self.set("upstream.base_url", address)
    }

    /// Writes the catalogue into the folder, and uses it.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    #[expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test's folder")]
    pub fn catalog(self, catalog: &Catalog) -> Self {
        let path = self.folder.join("catalog.toml");
        std::fs::write(&path, catalog.to_toml()).unwrap();
        self.set("catalog.path", path.to_str().unwrap())
    }

    /// The command, ready to be started; for tests that start it in a way of their own.
    ///
    /// # Panics
    /// When the loader does not build.
    #[must_use]
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub fn command(&self) -> Command {
        let mut command = programs::command(programs::loader().expect("the loader builds"));
        command.current_dir(&self.folder).args(&self.arguments).envs(self.variables.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(&self) -> Running {
        Running::start(&mut self.command())
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    pub fn run(&self) -> Run {
        self.start().wait()
    }
}

/// A loader at work. Dropped before its end, it is killed.
#[derive(Debug)]
pub struct Running {
    child: Child,
    output: Receiver<String>,
    errors: Receiver<String>,
}

impl Running {
    /// Starts a command whose output goes to pipes.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "a test that cannot start a program has failed")]
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let output = read_apart(child.stdout.take().unwrap());
        let errors = read_apart(child.stderr.take().unwrap());
        Self { child, output, errors }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, `-TERM`, `-INT` or `-KILL`, if it is still at work.
    ///
    /// # Panics
    /// When it cannot be sent.
    #[expect(clippy::unwrap_used, reason = "as above")]
    pub fn signal(&mut self, signal: &str) {
        // Once it was waited for, its id may be another's.
        if !self.is_running() {
            return;
        }
        assert!(Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap().success());
    }

    /// Whether it is still at work.
    ///
    /// # Panics
    /// When the system does not tell.
    #[expect(clippy::unwrap_used, reason = "as above")]
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    #[expect(clippy::unwrap_used, clippy::expect_used, reason = "as above")]
    pub fn wait(mut self) -> Run {
        // Its output ends when it does.
        let output = self.output.recv_timeout(BOUND).expect("the loader ends in time");
        let errors = self.errors.recv_timeout(BOUND).expect("the loader ends in time");
        let code = self.child.wait().unwrap().code();
        Run { code, json: serde_json::from_str(&output).unwrap_or(Value::Null), output, errors }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails where it has ended, which is what is wanted.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn read_apart(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if pipe.read_to_end(&mut bytes).is_ok() {
            // Nobody may be waiting any more.
            let _gone = sender.send(String::from_utf8_lossy(&bytes).into_owned());
        }
    });
    receiver
}

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Standard output, where it is JSON.
    pub json: Value,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
}

impl Run {
    /// The run, if it ended with that code.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[must_use]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.errors, self.output);
        self
    }

    /// A number of the JSON summary, by its pointer (`/boards/fetched`).
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's expectation")]
    pub fn number(&self, pointer: &str) -> u64 {
        self.json.pointer(pointer).and_then(Value::as_u64).expect(pointer)
    }
}

/// Waits until something is so, within a bound.
///
/// # Panics
/// When it does not come to be so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < BOUND, "waited too long until {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
