//! Running a program as a process of its own, with a bound in time.

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

/// A program that is about to run.
#[derive(Debug)]
pub struct Invocation {
    program: &'static str,
    executable: Option<PathBuf>,
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
    /// What differs from what this process has itself.
    pub(super) conditions: Conditions,
    input: Vec<u8>,
    folder: PathBuf,
    /// Where standard output and standard error go, instead of to the one who started it.
    files: [Option<PathBuf>; 2],
}

impl Invocation {
    /// The program of that name, that runs in that folder, with no argument and no setting.
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

    /// With one more argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With more arguments.
    #[must_use]
    pub fn arguments<T: AsRef<str>>(self, arguments: &[T]) -> Self {
        arguments.iter().fold(self, |it, argument| it.argument(argument.as_ref()))
    }

    /// With a key of the configuration set, by its environment variable.
    #[must_use]
    pub fn set(self, key: &str, value: &str) -> Self {
        let name = format!("R3E_{}", key.to_uppercase().replace('.', "__"));
        self.variable(&name, value)
    }

    /// With an environment variable set.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Started by another program, which gets the program and its arguments as its last arguments and becomes it.
    #[must_use]
    pub fn started_by(mut self, wrapper: &Path, arguments: &[&str]) -> Self {
        let own = self.executable.replace(wrapper.to_owned()).unwrap_or_else(|| program(self.program));
        let arguments = arguments.iter().map(OsString::from).chain([own.into_os_string()]);
        self.arguments.splice(..0, arguments);
        self
    }

    /// From that executable, instead of from where cargo builds it.
    #[must_use]
    pub fn executable(mut self, path: PathBuf) -> Self {
        self.executable = Some(path);
        self
    }

    /// With that to read from standard input, by a pipe.
    #[must_use]
    pub fn input(mut self, text: &str) -> Self {
        self.input = text.into();
        self
    }

    /// With standard output in that file, so that it can be read while the program runs.
    #[must_use]
    pub fn stdout_to(mut self, file: PathBuf) -> Self {
        self.files[0] = Some(file);
        self
    }

    /// With standard error in that file, so that it can be read while the program runs.
    #[must_use]
    pub fn stderr_to(mut self, file: PathBuf) -> Self {
        self.files[1] = Some(file);
        self
    }

    /// Where it runs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs it to its end.
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

/// What comes out of a pipe.
type Pipe = JoinHandle<Vec<u8>>;

/// Reads a pipe to its end, so that the program never waits for us.
fn collect(mut pipe: impl Read + Send + 'static) -> Pipe {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// A program at work; killed when dropped.
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

    /// Whether it has ended by itself.
    #[must_use]
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends it a signal: `TERM`, `INT`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    #[must_use]
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.wait()
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it has not within [`BOUND`]: it is killed, and the message has what it said.
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
            // What it has started may have it too.
            until("no process has its output open any more", || reader.is_finished());
            String::from_utf8(reader.join().unwrap()).unwrap()
        };
        Ended { status, stdout: text(stdout), stderr: text(stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.output.is_some() {
            // It may have ended meanwhile; a test that panics already has its message.
            let _ended = self.child.kill().and_then(|()| self.child.wait());
        }
    }
}

/// How many characters of a result a message repeats: one may name thousands of boards.
const LONGEST_SHOWN: usize = 2000;

/// What became of a run.
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
    /// Its exit code; none when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Checks its exit code.
    ///
    /// # Panics
    /// When it is another; the message has what it said.
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
    /// When one is missing; the message has what it said.
    #[track_caller]
    #[must_use]
    pub fn naming<T: AsRef<str>>(self, parts: &[T]) -> Self {
        for part in parts {
            assert!(names(&self.stderr, part.as_ref()), "{:?} is not named:\n{}", part.as_ref(), self.stderr);
        }
        self
    }

    /// The events that it logged, those with all of these fields.
    #[must_use]
    pub fn events_with(&self, fields: &[&str]) -> Vec<Event> {
        events_with(&self.stderr, fields)
    }

    /// Its result, of `--json`: one line.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "one line of JSON: {}{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// A count of boards of its result.
    #[track_caller]
    #[must_use]
    pub fn boards(&self, which: &str) -> u64 {
        let json = self.json();
        json["boards"][which].as_u64().unwrap_or_else(|| panic!("no boards.{which} in {json}"))
    }
}
