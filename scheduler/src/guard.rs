//! Kills a command if the scheduler dies. A job stops by itself then (`--parent`), but a command can be any program.
//!
//! A guard is this executable under another name. It leads the process group that the command joins, and reads from a pipe whose other
//! end only the scheduler has. When the pipe ends, it kills the group: the command, its children, and itself.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::getpgrp;
use r3e_common::runtime::exit::Exit;

const NAME: &str = "r3e-scheduler-guard";

/// Starts a guard in a process group of its own, whose number is its process id. The group is killed when this is dropped.
///
/// # Errors
/// If the system refuses a process.
pub(crate) fn start() -> io::Result<Child> {
    // Not by its path, where a newer build may be by now.
    let mut guard = Command::new("/proc/self/exe");
    guard.arg0(NAME).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn()
}

/// Whether this process was started as a guard.
pub(crate) fn is_meant(arguments: &[OsString]) -> bool {
    arguments.first().is_some_and(|name| name == NAME)
}

/// Waits until the scheduler is gone, then kills this process group.
pub(crate) fn run() -> Exit {
    // The scheduler asks the whole group to stop, but means the command.
    let _blocked = SigSet::all().thread_block();
    // Any error means that it cannot wait any longer.
    let _end = io::copy(&mut io::stdin().lock(), &mut io::sink());
    let _killed = killpg(getpgrp(), Signal::SIGKILL);
    Exit::Unexpected
}
