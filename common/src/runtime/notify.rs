//! Telling a supervisor how we are: systemd's protocol where `NOTIFY_SOCKET` is set, and a newline to the descriptor that
//! s6 waits at. Where there is neither, nothing is told to nobody.
//!
//! Nothing here waits: a message that a full socket does not take is lost, as the next one says the same or more; only that
//! we are ready is kept, and told with the next. A socket that cannot be reached is a warning, once.

mod socket;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::config::Environment;
use super::exit::Exit;
use super::output::say;
use crate::runtime::fs;
use crate::runtime::fs::FsError;
use socket::Socket;

/// The variables that a supervisor means for this process alone. Whoever starts a child removes them from its environment:
/// a job that inherited them would speak in the daemon's name.
pub const NOT_FOR_CHILDREN: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// The longest status line, in characters.
const LONGEST_STATUS: usize = 200;

/// The flags that tell a daemon of its supervisor.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct SupervisorArgs {
    /// Write a newline to this descriptor when ready, as s6 expects it (its notification-fd)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(3..))]
    pub notify_fd: Option<i32>,
}

impl SupervisorArgs {
    /// The supervisor of this process. To be called when nothing is open yet that stays: if the descriptor was not passed on, its
    /// number would be that of something of our own.
    ///
    /// # Errors
    /// With the exit code, when the descriptor is not there or no pipe, which has been said.
    pub fn supervisor(self) -> Result<Supervisor, Exit> {
        Supervisor::new(&Environment::of_process(), std::process::id(), self.notify_fd).map_err(|error| {
            say(&format!("error: {error}"));
            Exit::Usage
        })
    }
}

/// The descriptor that was to be told at cannot be.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// There is none of that number, or it is no pipe.
    #[error("--notify-fd {fd}: {found}, expected a pipe that the supervisor has opened there")]
    NoPipe {
        /// Its number.
        fd: i32,
        /// What there is.
        found: String,
    },
    /// It cannot be written to.
    #[error("--notify-fd {fd}: {cause}")]
    Unwritable {
        /// Its number.
        fd: i32,
        /// What the system said.
        cause: FsError,
    },
}

/// Who is told how we are.
#[derive(Debug, Default)]
pub struct Supervisor {
    socket: Option<Socket>,
    /// What was wrong with the variables, until there is a log to say it in.
    wrong: Mutex<Vec<String>>,
    /// Until readiness was told.
    pipe: Mutex<Option<File>>,
    watchdog: Option<Duration>,
    /// We are ready, and the socket did not take it.
    owes_ready: AtomicBool,
    unreachable: AtomicBool,
}

impl Supervisor {
    /// The supervisor that the environment and a flag tell of; `pid` is this process. The descriptor is taken over: its number
    /// is closed, so that no child has it.
    ///
    /// # Errors
    /// When the descriptor is not there, or is no pipe that can be written to. What is wrong with the environment, which
    /// nobody here has written, is said with the first message.
    pub fn new(environment: &Environment, pid: u32, notify_fd: Option<i32>) -> Result<Self, NotifyError> {
        let mut wrong = Vec::new();
        let socket = environment.variable("NOTIFY_SOCKET").filter(|it| !it.is_empty());
        let socket = socket.and_then(|name| Socket::named(name).map_err(|error| wrong.push(error)).ok());
        let watchdog = watchdog(environment, pid).unwrap_or_else(|error| {
            wrong.push(error);
            None
        });
        let pipe = notify_fd.map(take_over).transpose()?;
        let watchdog = watchdog.filter(|_| socket.is_some());
        let (wrong, pipe) = (Mutex::new(wrong), Mutex::new(pipe));
        Ok(Self { socket, wrong, pipe, watchdog, ..Self::default() })
    }

    /// How often [`Supervisor::alive`] is to be called: twice in the time after which we would be taken for stuck. None
    /// where nobody waits for it.
    #[must_use]
    pub fn watchdog_every(&self) -> Option<Duration> {
        self.watchdog.map(|it| it / 2)
    }

    /// We are at work; also after a reload.
    pub fn ready(&self, status: &str) {
        self.owes_ready.store(true, Ordering::Release);
        self.status(status);
        let pipe = self.pipe.lock().map_or(None, |mut it| it.take());
        if let Some(Err(error)) = pipe.map(|mut pipe| pipe.write_all(b"\n")) {
            tracing::warn!(%error, "the supervisor is not told by --notify-fd that this program is ready");
        }
    }

    /// What we are doing, in a line.
    pub fn status(&self, status: &str) {
        self.send(&[&status_line(status)]);
    }

    /// We are not stuck. Told from the loop that must not be, so that it is not told when it is.
    pub fn alive(&self) {
        self.send(&["WATCHDOG=1"]);
    }

    /// The configuration is being read again; [`Supervisor::ready`] says that this is over.
    pub fn reloading(&self) {
        match clock_gettime(ClockId::CLOCK_MONOTONIC) {
            Ok(now) => {
                let now = Duration::from(now);
                self.send(&["RELOADING=1", &format!("MONOTONIC_USEC={}", now.as_micros())]);
            }
            Err(error) => tracing::warn!(%error, "no clock to tell the supervisor of the reload by"),
        }
    }

    /// We are stopping.
    pub fn stopping(&self, status: &str) {
        self.owes_ready.store(false, Ordering::Release);
        self.send(&["STOPPING=1", &status_line(status)]);
    }

    fn send(&self, lines: &[&str]) {
        for wrong in self.wrong.lock().map_or_else(|_| Vec::new(), |mut it| std::mem::take(&mut *it)) {
            tracing::warn!("{wrong}");
        }
        let Some(socket) = &self.socket else { return };
        let owes_ready = self.owes_ready.swap(false, Ordering::AcqRel);
        let ready = owes_ready.then_some("READY=1");
        let message: Vec<&str> = ready.into_iter().chain(lines.iter().copied()).collect();
        if let Err(error) = socket.send(message.join("\n").as_bytes()) {
            self.owes_ready.fetch_or(owes_ready, Ordering::AcqRel);
            if error.kind() != std::io::ErrorKind::WouldBlock && !self.unreachable.swap(true, Ordering::AcqRel) {
                tracing::warn!(socket = socket.name(), %error, "the supervisor cannot be told how this program is");
            }
        }
    }
}

/// A status as its line of a message: a line break in it would begin another.
fn status_line(status: &str) -> String {
    let one_line = status.chars().take(LONGEST_STATUS).map(|c| if c.is_control() { ' ' } else { c });
    std::iter::once("STATUS=").map(String::from).chain(one_line.map(String::from)).collect()
}

/// After which time without a word we are taken for stuck, if that is meant for this process.
fn watchdog(environment: &Environment, pid: u32) -> Result<Option<Duration>, String> {
    let number = |name: &str| {
        let Some(value) = environment.variable(name) else { return Ok(None) };
        let number = value.to_str().and_then(|it| it.parse::<u64>().ok()).filter(|it| *it > 0);
        number.map(Some).ok_or_else(|| format!("{name}={}: expected a number above 0", value.display()))
    };
    let whose = number("WATCHDOG_PID")?;
    let micros = number("WATCHDOG_USEC")?;
    Ok(micros.filter(|_| whose.is_none_or(|it| it == u64::from(pid))).map(Duration::from_micros))
}

/// Opens the pipe that has this number here once more, as a file that children do not inherit and that never waits, and
/// closes the number.
fn take_over(fd: i32) -> Result<File, NotifyError> {
    let path = PathBuf::from(format!("/proc/self/fd/{fd}"));
    let found = fs::link_target(&path).map_err(|cause| NotifyError::Unwritable { fd, cause })?;
    match found {
        Some(target) if target.to_string_lossy().starts_with("pipe:") => {}
        Some(target) => return Err(NotifyError::NoPipe { fd, found: format!("it is {}", target.display()) }),
        None => return Err(NotifyError::NoPipe { fd, found: "there is no such descriptor".to_owned() }),
    }
    let pipe = fs::open_pipe(&path).map_err(|cause| NotifyError::Unwritable { fd, cause })?;
    // Nothing of this process has it: it was there when the process began.
    let closed = nix::unistd::close(fd);
    closed.map_err(|error| NotifyError::NoPipe { fd, found: error.to_string() })?;
    Ok(pipe)
}
