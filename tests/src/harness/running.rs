//! Runs a program as a child process, with a timeout.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::conditions::Conditions;
use super::events::{Event, events_with, names};
use super::processes::{command, program, signal};
use r3e_needs::{BOUND, until};

/// A program to run, with its arguments and environment.
#[derive(Debug)]
pub struct Invocation {
    program: &'static str,
    executable: Option<PathBuf>,
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
    /// Limits, user, signals and the like, where they differ from this process.
    pub(super) conditions: Conditions,
    input: Vec<u8>,
    folder: PathBuf,
    /// Files for standard output and standard error, instead of pipes to this process.
    files: [Option<PathBuf>; 2],
}

impl Invocation {
    /// Runs the program `name` in `folder`, without arguments or settings.
    #[must_use]
    pub fn new(program: &'static str, folder: &Path) -> Self {
        Self {
            program,
            executable: None,
            arguments: Vec::new(),
            variables: Vec::new(),
            conditions: Conditions::default(),
            input: Vec::new(),
            folder: folder.to_owned(),
            files: [None, None],
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<T: AsRef<str>>(self, arguments: &[T]) -> Self {
        arguments.iter().fold(self, |it, argument| it.argument(argument.as_ref()))
    }

    /// Sets a configuration key, through its environment variable.
    #[must_use]
    pub fn set(self, key: &str, value: &str) -> Self {
        let name = format!("R3E_{}", key.to_uppercase().replace('.', "__"));
        self.variable(&name, value)
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it through a wrapper, which gets the program and its arguments as its last arguments and executes it.
    #[must_use]
    pub fn started_by(mut self, wrapper: &Path, arguments: &[&str]) -> Self {
        let own = self.executable.replace(wrapper.to_owned()).unwrap_or_else(|| program(self.program));
        let arguments = arguments.iter().map(OsString::from).chain([own.into_os_string()]);
        self.arguments.splice(..0, arguments);
        self
    }

    /// Runs this executable instead of the one that cargo builds.
    #[must_use]
    pub fn executable(mut self, path: PathBuf) -> Self {
        self.executable = Some(path);
        self
    }

    /// Passes this text on standard input, through a pipe.
    #[must_use]
    pub fn input(mut self, text: &str) -> Self {
        self.input = text.into();
        self
    }

    /// Redirects standard output to a file, so that it can be read while the program runs.
    #[must_use]
    pub fn stdout_to(mut self, file: PathBuf) -> Self {
        self.files[0] = Some(file);
        self
    }

    /// Redirects standard error to a file, so that it can be read while the program runs.
    #[must_use]
    pub fn stderr_to(mut self, file: PathBuf) -> Self {
        self.files[1] = Some(file);
        self
    }

    /// The working directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs it and waits for its end.
    #[must_use]
    pub fn run(&self) -> Ended {
        self.spawn().wait()
    }

    /// Starts it.
    #[must_use]
    pub fn spawn(&self) -> Running {
        let executable = self.executable.clone().unwrap_or_else(|| program(self.program));
        let mut command = command(&executable, &self.folder);
        command.args(&self.arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        self.conditions.apply(&mut command);
        let [stdout, stderr] = self
            .files
            .each_ref()
            .map(|file| file.as_ref().map_or_else(Stdio::piped, |file| File::create(file).unwrap().into()));
        let stdin = if self.input.is_empty() { Stdio::null() } else { Stdio::piped() };
        let mut child = command.stdin(stdin).stdout(stdout).stderr(stderr).spawn().unwrap();
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&self.input).unwrap();
        }
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        Running { child, output: Some([stdout.map(collect), stderr.map(collect)]) }
    }
}

/// The output read from a pipe.
type Pipe = JoinHandle<Vec<u8>>;

/// Reads a pipe to its end on a thread, so that the program never blocks on it.
fn collect(mut pipe: impl Read + Send + 'static) -> Pipe {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Standard output and standard error, until they are taken.
    output: Option<[Option<Pipe>; 2]>,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has exited.
    #[must_use]
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends it a signal: `TERM`, `INT`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Kills it (SIGKILL) and waits for its end.
    #[must_use]
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.wait()
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// If it has not ended within [`BOUND`]. It is then killed, and the message contains its output.
    #[must_use]
    pub fn wait(mut self) -> Ended {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > BOUND {
                let Ended { stderr, .. } = self.kill_and_collect();
                panic!("it has not ended within {BOUND:?}; it said:\n{stderr}");
            }
            std::thread::park_timeout(Duration::from_millis(1));
        };
        self.collected(status)
    }

    fn kill_and_collect(&mut self) -> Ended {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        self.collected(status)
    }

    fn collected(&mut self, status: ExitStatus) -> Ended {
        let [stdout, stderr] = self.output.take().unwrap();
        let text = |reader: Option<Pipe>| {
            let Some(reader) = reader else { return String::new() };
            // Its children may hold the pipe open too.
            until("no process has its output open any more", || reader.is_finished());
            String::from_utf8(reader.join().unwrap()).unwrap()
        };
        Ended { status, stdout: text(stdout), stderr: text(stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.output.is_some() {
            // It may have ended already; and a panicking test already has its message.
            let _ended = self.child.kill().and_then(|()| self.child.wait());
        }
    }
}

/// The maximum number of characters of a result in a message: a result may name thousands of boards.
const LONGEST_SHOWN: usize = 2000;

/// The result of a run.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ended {
    /// Its exit code; `None` if a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Checks its exit code.
    ///
    /// # Panics
    /// If it is a different one. The message contains the output.
    #[track_caller]
    #[must_use]
    pub fn with_code(self, code: i32) -> Self {
        let result: String = self.stdout.chars().take(LONGEST_SHOWN).collect();
        assert_eq!(self.code(), Some(code), "exit; it said:\n{}{result}", self.stderr);
        self
    }

    /// Checks that its standard error names each of these: keys, values, paths, fields of events.
    ///
    /// # Panics
    /// If one is missing. The message contains the output.
    #[track_caller]
    #[must_use]
    pub fn naming<T: AsRef<str>>(self, parts: &[T]) -> Self {
        for part in parts {
            assert!(names(&self.stderr, part.as_ref()), "{:?} is not named:\n{}", part.as_ref(), self.stderr);
        }
        self
    }

    /// The logged events that have all of these fields.
    #[must_use]
    pub fn events_with(&self, fields: &[&str]) -> Vec<Event> {
        events_with(&self.stderr, fields)
    }

    /// The result printed by `--json`: one line.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "one line of JSON: {}{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// A count of boards from the result.
    #[track_caller]
    #[must_use]
    pub fn boards(&self, which: &str) -> u64 {
        let json = self.json();
        json["boards"][which].as_u64().unwrap_or_else(|| panic!("no boards.{which} in {json}"))
    }
}
