//! Running a program as a process of its own, with a bound in time.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{signals, wait::BOUND};
use crate::programs;

/// A program that is about to run.
#[derive(Debug)]
pub struct Invocation {
    program: &'static str,
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
    wrapper: Vec<OsString>,
    folder: PathBuf,
    /// Where standard output and standard error go, instead of to the one who started it.
    files: [Option<PathBuf>; 2],
}

impl Invocation {
    /// The program of that name, that runs in that folder, with no argument and no setting.
    #[must_use]
    pub fn new(program: &'static str, folder: &Path) -> Self {
        let (arguments, variables, wrapper) = (Vec::new(), Vec::new(), Vec::new());
        Self { program, arguments, variables, wrapper, folder: folder.to_owned(), files: [None, None] }
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

    /// Started by another program, which gets the program and its arguments as its last arguments and has to replace itself
    /// by it: the process is to be the program's.
    #[must_use]
    pub fn started_by(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(OsString::from).collect();
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
        signals::inherit_defaults();
        let program = programs::program(self.program).unwrap();
        let mut command = match self.wrapper.split_first() {
            None => programs::command(&program),
            Some((wrapper, arguments)) => {
                let mut command = programs::command(wrapper.as_ref());
                command.args(arguments).arg(program);
                command
            }
        };
        command.args(&self.arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.folder).stdin(Stdio::null());
        let [stdout, stderr] = self
            .files
            .each_ref()
            .map(|file| file.as_ref().map_or_else(Stdio::piped, |file| File::create(file).unwrap().into()));
        let mut child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
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
        let text =
            |reader: Option<Pipe>| reader.map(|it| String::from_utf8(it.join().unwrap()).unwrap()).unwrap_or_default();
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

/// Sends a signal to a process that a test has started.
pub fn signal(pid: u32, name: &str) {
    let told = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(told.success(), "kill -{name} {pid}: {told}");
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
