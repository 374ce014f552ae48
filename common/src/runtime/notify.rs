//! Supervisor notification: systemd's protocol if `NOTIFY_SOCKET` is set, and s6's newline if `--notify-fd` is given. If
//! neither is, notification is a no-op.
//!
//! Nothing here blocks. A message that does not fit a full socket is lost, since the next one says as much; only readiness is
//! kept and sent with the next message.

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::config::Environment;
use super::exit::Exit;
use super::fs;
use super::output::print_error;
use super::periodic::ticks;

/// Variables that a supervisor sets for this process only. A job that inherited them would notify in the daemon's name, so
/// they are removed from its environment.
pub const NOT_FOR_CHILDREN: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

const MAX_STATUS_CHARS: usize = 200;

/// A daemon's flags for its supervisor.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct SupervisorArgs {
    /// Write a newline to this descriptor when ready (s6's notification-fd)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(3..))]
    pub notify_fd: Option<i32>,
}

impl SupervisorArgs {
    /// The supervisor of this process. Call this before opening anything that stays open: if the descriptor was not passed on,
    /// its number would be that of something of our own.
    ///
    /// # Errors
    /// [`Exit::Usage`] if the descriptor is not a pipe; the message is printed.
    pub fn supervisor(self) -> Result<Supervisor, Exit> {
        Supervisor::new(&Environment::of_process(), std::process::id(), self.notify_fd).map_err(|error| {
            print_error(&format!("error: {error}"));
            Exit::Usage
        })
    }
}

/// The descriptor of `--notify-fd` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("--notify-fd {fd}: {problem}, expected a pipe opened by the supervisor")]
pub struct NotifyError {
    fd: i32,
    problem: String,
}

/// The supervisor of this process.
#[derive(Debug, Default)]
pub struct Supervisor {
    /// Messages are sent to the address each time, so that a restarted supervisor gets them too.
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    /// Until readiness is written to it.
    pipe: Mutex<Option<File>>,
    /// The socket has not taken `READY=1` yet.
    owes_ready: AtomicBool,
    warned: AtomicBool,
}

impl Supervisor {
    /// Reads the environment of process `pid`, and takes over the descriptor, so that no child inherits it. Invalid variables
    /// are logged.
    ///
    /// # Errors
    /// If the descriptor is not a writable pipe.
    pub fn new(environment: &Environment, pid: u32, notify_fd: Option<i32>) -> Result<Self, NotifyError> {
        let pipe = notify_fd.map(take_over).transpose()?;
        let Some(name) = environment.variable("NOTIFY_SOCKET").filter(|it| !it.is_empty()) else {
            return Ok(Self { pipe: Mutex::new(pipe), ..Self::default() });
        };
        let socket = open_socket(name).inspect_err(|error| {
            tracing::warn!(NOTIFY_SOCKET = %name.display(), %error, "cannot notify the supervisor");
        });
        let watchdog = watchdog(environment, pid).unwrap_or_else(|(variable, value)| {
            tracing::warn!(variable, value, "invalid watchdog variable: expected a positive number");
            None
        });
        let socket = socket.ok();
        let watchdog = watchdog.filter(|_| socket.is_some());
        Ok(Self { socket, watchdog, pipe: Mutex::new(pipe), ..Self::default() })
    }

    /// How often to call [`Supervisor::alive`]: half the watchdog's timeout. `None` if there is no watchdog.
    #[must_use]
    pub fn watchdog_every(&self) -> Option<Duration> {
        self.watchdog.map(|timeout| timeout / 2)
    }

    /// Reports readiness, at the start and after a reload.
    pub fn ready(&self, status: &str) {
        self.owes_ready.store(true, Ordering::Release);
        self.status(status);
        let pipe = self.pipe.lock().map_or(None, |mut it| it.take());
        if let Some(Err(error)) = pipe.map(|mut pipe| pipe.write_all(b"\n")) {
            tracing::warn!(%error, "cannot write to --notify-fd");
        }
    }

    /// Reports what the daemon is doing, in a line.
    pub fn status(&self, status: &str) {
        self.send(&status_line(status));
    }

    /// Feeds the watchdog. Call this from the loop that must not get stuck.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// Feeds the watchdog from the runtime that polls this, as often as it expects, while `healthy` returns true. Returns at once
    /// if there is no watchdog, and otherwise never.
    pub async fn feed_watchdog(&self, healthy: impl Fn() -> bool) {
        let Some(period) = self.watchdog_every() else { return };
        let mut ticks = ticks(period);
        loop {
            ticks.tick().await;
            if healthy() {
                self.alive();
            }
        }
    }

    /// Reports that a reload has begun; [`Supervisor::ready`] reports its end.
    pub fn reloading(&self) {
        match clock_gettime(ClockId::CLOCK_MONOTONIC) {
            Ok(now) => self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", Duration::from(now).as_micros())),
            Err(error) => tracing::warn!(%error, "cannot read the monotonic clock"),
        }
    }

    /// Reports that the daemon is stopping.
    pub fn stopping(&self, status: &str) {
        self.owes_ready.store(false, Ordering::Release);
        self.send(&format!("STOPPING=1\n{}", status_line(status)));
    }

    fn send(&self, message: &str) {
        let Some((socket, address)) = &self.socket else { return };
        let owes_ready = self.owes_ready.swap(false, Ordering::AcqRel);
        let ready = if owes_ready { "READY=1\n" } else { "" };
        if let Err(error) = socket.send_to_addr(format!("{ready}{message}").as_bytes(), address) {
            self.owes_ready.fetch_or(owes_ready, Ordering::AcqRel);
            if error.kind() != io::ErrorKind::WouldBlock && !self.warned.swap(true, Ordering::AcqRel) {
                tracing::warn!(NOTIFY_SOCKET = ?address, %error, "cannot notify the supervisor");
            }
        }
    }
}

/// Opens a non-blocking socket. The address is a path, or a name of Linux's abstract namespace, which begins with `@`.
fn open_socket(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => return Err(io::Error::other("expected an absolute path, or a name that begins with @")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// A line break in a status would begin another message, so control characters become blanks.
fn status_line(status: &str) -> String {
    let line: String = status.chars().take(MAX_STATUS_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("STATUS={line}")
}

/// The watchdog's timeout, if it is set for this process. The error is the invalid variable and its value.
fn watchdog(environment: &Environment, pid: u32) -> Result<Option<Duration>, (&'static str, String)> {
    let number = |name: &'static str| {
        let Some(value) = environment.variable(name) else { return Ok(None) };
        let number = value.to_str().and_then(|it| it.parse::<u64>().ok()).filter(|it| *it > 0);
        number.map(Some).ok_or_else(|| (name, value.display().to_string()))
    };
    let of_pid = number("WATCHDOG_PID")?;
    let micros = number("WATCHDOG_USEC")?;
    Ok(micros.filter(|_| of_pid.is_none_or(|it| it == u64::from(pid))).map(Duration::from_micros))
}

/// Reopens the pipe behind a descriptor as one that is non-blocking and not inherited, and closes the original.
fn take_over(fd: i32) -> Result<File, NotifyError> {
    let unusable = |problem: String| NotifyError { fd, problem };
    let path = PathBuf::from(format!("/proc/self/fd/{fd}"));
    match fs::link_target(&path).map_err(|error| unusable(error.to_string()))? {
        Some(target) if target.to_string_lossy().starts_with("pipe:") => {}
        Some(target) => return Err(unusable(format!("it is {}", target.display()))),
        None => return Err(unusable("there is no such descriptor".to_owned())),
    }
    let pipe = fs::open_pipe(&path).map_err(|error| unusable(error.to_string()))?;
    // Nothing in this process owns the descriptor: it was inherited.
    nix::unistd::close(fd).map_err(|error| unusable(error.to_string()))?;
    Ok(pipe)
}
