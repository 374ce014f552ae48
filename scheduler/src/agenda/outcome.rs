//! How a job ended, and whether a retry may help: one table, with a snapshot test.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use r3e_common::runtime::exit::Exit;

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It succeeded for all or most boards.
    Done,
    /// Waiting may help: the service, the disk or another writer failed it, or it was stopped or killed.
    Transient,
    /// Waiting may not help: a bug, or too much work for the timeout.
    Fault,
    /// Only a change of configuration or catalogue can help.
    Misconfigured,
    /// A retry cannot help: the request is invalid.
    Invalid,
}

impl Outcome {
    /// Classifies an exit status. `timed_out` is whether the scheduler stopped the job.
    pub(crate) fn of(status: ExitStatus, timed_out: bool) -> Self {
        let Some(code) = status.code() else {
            let signal = Signal::try_from(status.signal().unwrap_or_default());
            return if timed_out || signal.is_ok_and(is_fault) { Self::Fault } else { Self::Transient };
        };
        match u8::try_from(code).ok().and_then(Exit::from_code) {
            Some(Exit::Done | Exit::SomeBoardsFailed) => Self::Done,
            _ if timed_out => Self::Fault,
            Some(Exit::Usage) => Self::Invalid,
            Some(Exit::Configuration) => Self::Misconfigured,
            Some(Exit::Unavailable | Exit::Disk | Exit::TryAgain | Exit::Interrupted | Exit::Terminated) => {
                Self::Transient
            }
            Some(Exit::Unexpected) | None => Self::Fault,
        }
    }

    /// Classifies a failure to start: the program is missing, or the system lacks memory or processes.
    pub(crate) fn of_start(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Self::Fault,
            _ => Self::Transient,
        }
    }
}

/// Whether the signal means a bug, or a resource limit of the process.
fn is_fault(signal: Signal) -> bool {
    use Signal::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ};
    matches!(signal, SIGABRT | SIGBUS | SIGFPE | SIGILL | SIGSEGV | SIGSYS | SIGTRAP | SIGXCPU | SIGXFSZ)
}

/// A status of any program in words.
pub(crate) fn describe(status: ExitStatus) -> String {
    let Some(code) = status.code() else {
        let signal = status.signal().unwrap_or_default();
        let name = Signal::try_from(signal).map_or("unknown", Signal::as_str);
        return format!("killed by signal {signal} ({name})");
    };
    format!("exit {code}")
}

/// A status of a job in words.
pub(crate) fn describe_job(status: ExitStatus) -> String {
    let Some(code) = status.code() else { return describe(status) };
    let why = match u8::try_from(code).ok().and_then(Exit::from_code) {
        Some(Exit::Done) => "done",
        Some(Exit::SomeBoardsFailed) => "done, but some boards failed",
        Some(Exit::Unavailable) => "the service is unavailable",
        Some(Exit::Disk) => "the disk failed",
        Some(Exit::TryAgain) => "another writer is at work, or memory, threads or open files are short",
        Some(Exit::Configuration) => "configuration",
        Some(Exit::Usage) => "usage",
        Some(Exit::Interrupted | Exit::Terminated) => "stopped by a signal",
        Some(Exit::Unexpected) | None => "unexpected",
    };
    format!("exit {code}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        let exited = |code: i32| ExitStatus::from_raw(code << 8);
        let line = |status, timed_out| {
            let after = if timed_out { " after schedule.job_timeout" } else { "" };
            format!("{:<13} {}{after}", format!("{:?}", Outcome::of(status, timed_out)), describe_job(status))
        };
        let codes = Exit::ALL.map(|exit| i32::from(exit.code())).into_iter().chain([101]);
        let signals =
            [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGSEGV, Signal::SIGABRT, Signal::SIGXFSZ];
        let statuses = codes.map(exited).chain(signals.map(|it| ExitStatus::from_raw(it as i32)));
        let mut table: Vec<String> = statuses.map(|status| line(status, false)).collect();
        table.extend([exited(0), exited(143), ExitStatus::from_raw(9)].map(|status| line(status, true)));
        let refused =
            |error: io::Error| format!("{:<13} not started: {error}", format!("{:?}", Outcome::of_start(&error)));
        table.extend(
            [nix::libc::ENOENT, nix::libc::EACCES, nix::libc::EAGAIN].map(io::Error::from_raw_os_error).map(refused),
        );
        insta::assert_snapshot!(table.join("\n"), @"
        Done          exit 0: done
        Fault         exit 1: unexpected
        Invalid       exit 2: usage
        Done          exit 3: done, but some boards failed
        Transient     exit 69: the service is unavailable
        Transient     exit 74: the disk failed
        Transient     exit 75: another writer is at work, or memory, threads or open files are short
        Misconfigured exit 78: configuration
        Transient     exit 130: stopped by a signal
        Transient     exit 143: stopped by a signal
        Fault         exit 101: unexpected
        Transient     killed by signal 9 (SIGKILL)
        Transient     killed by signal 15 (SIGTERM)
        Transient     killed by signal 1 (SIGHUP)
        Fault         killed by signal 11 (SIGSEGV)
        Fault         killed by signal 6 (SIGABRT)
        Fault         killed by signal 25 (SIGXFSZ)
        Done          exit 0: done after schedule.job_timeout
        Fault         exit 143: stopped by a signal after schedule.job_timeout
        Fault         killed by signal 9 (SIGKILL) after schedule.job_timeout
        Fault         not started: No such file or directory (os error 2)
        Fault         not started: Permission denied (os error 13)
        Transient     not started: Resource temporarily unavailable (os error 11)
        ");
    }
}
