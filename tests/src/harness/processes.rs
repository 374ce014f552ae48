//! Ensures that no process started by a test outlives it, however the test ends.
//!
//! Each process gets an environment variable that names this test run and its folder; child processes inherit it. Dropping
//! a [`Place`](super::Place) kills all processes started in it. If this whole process ends without that (for example,
//! because it was killed), the helper program `r3e-reaper` notices and kills them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr as _;
use std::sync::OnceLock;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::conditions::Conditions;
use crate::programs;
use r3e_needs::until;

/// The environment variable that marks processes; its value is `RUN:FOLDER`.
const MARK: &str = "TEST_PROCESS_OF";

/// The program that kills the processes left by a killed test run.
pub const REAPER: &str = "r3e-reaper";

/// A command that runs a program in a folder, without the caller's configuration. It and its children are killed when the
/// [`Place`](super::Place) of the folder is dropped, or when this process ends.
///
/// # Panics
/// If the reaper cannot be started.
#[must_use]
pub fn command(program: &Path, folder: &Path) -> Command {
    static RUN: OnceLock<(String, Child)> = OnceLock::new();
    let (run, _reaper) = RUN.get_or_init(|| {
        let run = std::process::id().to_string();
        let reaper = start_reaper(&run);
        (run, reaper)
    });
    let mut command = programs::command(program);
    command.current_dir(folder).env(MARK, mark(run, folder));
    Conditions::default().apply(&mut command);
    command
}

/// Its standard input is a pipe whose write end only this process holds.
fn start_reaper(run: &str) -> Child {
    let program = program_beside(REAPER);
    let mut command = programs::command(&program);
    // In its own process group, so that Ctrl-C in the terminal does not reach it.
    command.arg(run).env_remove(MARK).process_group(0).current_dir("/");
    let reaper = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    reaper.unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()))
}

/// A program of this package.
///
/// # Panics
/// See [`programs::program_beside`].
#[must_use]
pub fn program_beside(name: &str) -> PathBuf {
    programs::program_beside(name).unwrap_or_else(|error| panic!("{error}"))
}

/// The release build of a program under test.
///
/// # Panics
/// See [`programs::program`].
#[must_use]
pub fn program(name: &str) -> PathBuf {
    programs::program(name).unwrap_or_else(|error| panic!("{error}"))
}

/// The main function of `r3e-reaper`: waits for the end of standard input, then kills all processes of the run.
pub fn reap(run: &str) {
    // An error also means that the run has ended.
    let _end = std::io::stdin().read_to_end(&mut Vec::new());
    kill_all(|mark| mark.strip_prefix(run.as_bytes()).is_some_and(|rest| rest.first() == Some(&b':')));
}

/// Kills all processes that any test run started in this folder or below it, and waits until they have ended.
pub(super) fn kill_all_of(folder: &Path) {
    kill_all(|mark| in_folder(mark, folder));
}

/// The processes that were started in this folder or below it, and their descendants.
#[must_use]
pub fn processes_of(folder: &Path) -> Vec<u32> {
    marked(|mark| in_folder(mark, folder))
}

fn mark(run: &str, folder: &Path) -> OsString {
    let mut mark = OsString::from(format!("{run}:"));
    mark.push(folder);
    mark
}

fn in_folder(mark: &[u8], folder: &Path) -> bool {
    let colon = mark.iter().position(|&byte| byte == b':');
    colon.is_some_and(|colon| Path::new(OsStr::from_bytes(&mark[colon + 1..])).starts_with(folder))
}

fn kill_all(is_ours: impl Fn(&[u8]) -> bool) {
    until("all processes that were started are gone", || {
        let left = marked(&is_ours);
        for &pid in &left {
            // It may have ended by itself.
            let _killed = kill(pid_of(pid), Signal::SIGKILL);
        }
        left.is_empty()
    });
}

/// The processes whose mark matches. The kernel does not show the marks of zombies.
fn marked(is_ours: impl Fn(&[u8]) -> bool) -> Vec<u32> {
    let has_mark = |pid: &u32| {
        // The environment of another user's process cannot be read; it is not ours.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut marks = environment.split(|&byte| byte == 0).filter_map(|it| it.strip_prefix(MARK.as_bytes()));
        marks.any(|it| it.strip_prefix(b"=").is_some_and(&is_ours))
    };
    let processes = fs::read_dir("/proc").unwrap().filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(has_mark).collect()
}

/// Sends a signal, such as `TERM`, to a process that a test has started.
///
/// # Panics
/// When there is no such signal, or no such process.
pub fn signal(pid: u32, name: &str) {
    let signal = Signal::from_str(&format!("SIG{name}")).unwrap();
    let sent = kill(pid_of(pid), signal);
    assert_eq!(sent, Ok(()), "SIG{name} to {pid}");
}

/// A process id as the system calls take it.
#[must_use]
pub fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed())
}

/// The children of a process, those that have ended and are not waited for included.
#[must_use]
pub fn children(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let text = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let all: Vec<String> = tasks.map(text).collect();
    all.iter().flat_map(|it| it.split_whitespace()).filter_map(|it| it.parse().ok()).collect()
}

/// Stops a process (SIGSTOP, all its threads) while `look` runs.
pub fn paused<T>(pid: u32, look: impl FnOnce() -> T) -> T {
    signal(pid, "STOP");
    let is_stopped = |it: fs::DirEntry| fs::read_to_string(it.path().join("stat")).is_ok_and(|it| it.contains(") T "));
    until("it is stopped", || fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten().all(is_stopped));
    let seen = look();
    signal(pid, "CONT");
    seen
}
