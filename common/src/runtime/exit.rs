//! The exit codes of all programs: what a script or a supervisor can tell from how a program ended.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use nix::errno::Errno;

use crate::runtime::fs::FsError;
use crate::runtime::fs::{Access, Reach};

/// How a program ended. Codes from 69 to 78 are those of `sysexits.h`, codes above 128 those of a shell for a
/// process that a signal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Done; for a daemon: stopped as asked.
    Done,
    /// An error that no other code tells.
    Unexpected,
    /// The command line was not understood.
    Usage,
    /// Done, but some boards failed; `status.json` lists them.
    SomeBoardsFailed,
    /// The service is unavailable.
    Unavailable,
    /// The disk failed: full, read-only, or an input or output error.
    Disk,
    /// Another writer is at work, the memory limit was reached, or the system has no more threads, descriptors or memory to
    /// give: nothing is lost, try again later.
    TryAgain,
    /// The configuration is wrong; the messages tell where.
    Configuration,
    /// Stopped by SIGINT before the job was done.
    Interrupted,
    /// Stopped by SIGTERM before the job was done.
    Terminated,
}

impl Exit {
    /// Every way to end, in order of its code.
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::SomeBoardsFailed,
        Self::Unavailable,
        Self::Disk,
        Self::TryAgain,
        Self::Configuration,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The code that the parent process sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::SomeBoardsFailed => 3,
            Self::Unavailable => 69,
            Self::Disk => 74,
            Self::TryAgain => 75,
            Self::Configuration => 78,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The exit with this code: how a scheduler reads what a job ended with.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }
}

/// An error that can end a program, and the exit code that reports it.
pub trait Fatal: Error {
    /// The exit code.
    fn exit(&self) -> Exit;
}

impl Fatal for FsError {
    fn exit(&self) -> Exit {
        match self.reach(Access::Write) {
            Reach::Process => Exit::TryAgain,
            Reach::Path | Reach::Disk => Exit::Disk,
        }
    }
}

/// An error of the system that is about no file.
impl Fatal for io::Error {
    fn exit(&self) -> Exit {
        match self.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => Exit::TryAgain,
            _ => Exit::Unexpected,
        }
    }
}

/// Why a program ends early. Any [`Fatal`] error becomes one.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// A failure that is no error of a library.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// A failure that no other exit code reports.
    #[must_use]
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self::new(Exit::Unexpected, message)
    }

    /// An error with what was being done.
    #[must_use]
    pub fn context(doing: &str, error: &impl Fatal) -> Self {
        Self::new(error.exit(), format!("{doing}: {error}"))
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Logs the message and returns the exit code.
    #[must_use]
    pub fn report(self) -> Exit {
        tracing::error!("{}", self.message);
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

impl<E: Fatal> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error.exit(), error.to_string())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        let table: Vec<String> = Exit::ALL.iter().map(|exit| format!("{:>3} {exit:?}", exit.code())).collect();
        insta::assert_snapshot!(table.join("\n"), @"
          0 Done
          1 Unexpected
          2 Usage
          3 SomeBoardsFailed
         69 Unavailable
         74 Disk
         75 TryAgain
         78 Configuration
        130 Interrupted
        143 Terminated
        ");
    }

    #[test]
    fn what_the_system_has_no_more_of_may_be_there_later() {
        let path = std::path::Path::new("x");
        for errno in [Errno::EAGAIN, Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM] {
            assert_eq!(io::Error::from(errno).exit(), Exit::TryAgain);
            assert_eq!(FsError::new("open", path, errno.into()).exit(), Exit::TryAgain);
        }
        for errno in [Errno::EACCES, Errno::ENOSPC, Errno::EIO] {
            assert_eq!(io::Error::from(errno).exit(), Exit::Unexpected);
            assert_eq!(FsError::new("open", path, errno.into()).exit(), Exit::Disk);
        }
    }

    #[test]
    fn codes_read_back_and_others_are_none() {
        let known: Vec<Exit> = (0..=u8::MAX).filter_map(Exit::from_code).collect();
        assert_eq!(known, Exit::ALL);
        assert_eq!(ExitCode::from(Exit::Configuration), ExitCode::from(78));
    }
}
