//! The exit codes of all programs, for scripts and supervisors.

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
    /// An error that no other code covers.
    Unexpected,
    /// The command line is invalid.
    Usage,
    /// Done, but some boards failed; `status.json` lists them.
    SomeBoardsFailed,
    /// The service is unavailable.
    Unavailable,
    /// The disk failed: full, read-only, or an input or output error.
    Disk,
    /// Another writer is active, the memory limit was reached, or the system is out of threads, descriptors or memory. Nothing is
    /// lost; try again later.
    TryAgain,
    /// The configuration is invalid; messages name the place.
    Configuration,
    /// Stopped by SIGINT before the job was done.
    Interrupted,
    /// Stopped by SIGTERM before the job was done.
    Terminated,
}

impl Exit {
    /// All of them, in order of code.
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

    /// The exit with this code.
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

/// A system error that concerns no file.
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
    /// A failure with a message of the program's own.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// A failure that no other exit code covers.
    #[must_use]
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self::new(Exit::Unexpected, message)
    }

    /// An error, prefixed with what failed.
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
    fn exhausted_resources_may_be_free_later() {
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
    fn codes_are_parsed_and_unknown_ones_are_none() {
        let known: Vec<Exit> = (0..=u8::MAX).filter_map(Exit::from_code).collect();
        assert_eq!(known, Exit::ALL);
        assert_eq!(ExitCode::from(Exit::Configuration), ExitCode::from(78));
    }
}
