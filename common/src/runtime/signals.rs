//! Inherited signal masks and dispositions, and child processes.
//!
//! A blocked signal is an accident of the parent, so the mask is reset. An ignored SIGHUP or SIGINT is the user's wish (`nohup`, a shell
//! script's background job), so a job keeps ignoring it. The scheduler handles both, so its jobs start with the default disposition.

use std::io;
use std::path::Path;

use nix::sys::signal::SigSet;
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::runtime::fs;

const STATUS: &str = "/proc/self/status";

/// Unblocks all signals. Call this before starting any thread, since threads inherit the mask.
pub(super) fn unblock() {
    if let Err(error) = SigSet::empty().thread_set_mask() {
        super::output::print_error(&format!("cannot unblock signals: {error}"));
    }
}

/// Whether this process ignores the signal.
pub(super) fn is_ignored(number: i32) -> bool {
    let status = fs::read_text(Path::new(STATUS), 64 << 10).unwrap_or_default();
    ignored(&status).is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}

/// The mask of ignored signals in `/proc/self/status`.
fn ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Reaps children that this process did not start, which would stay as zombies: orphans that the kernel gives to the first process of
/// a container, and children of a shell that replaced itself by this program.
///
/// Because it handles SIGCHLD, this process can also wait for its own children if its parent ignored SIGCHLD.
#[derive(Debug)]
pub struct Reaper(Signal);

impl Reaper {
    /// Call this within the runtime.
    ///
    /// # Errors
    /// If the system refuses a signal handler.
    pub fn new() -> io::Result<Self> {
        signal(SignalKind::child()).map(Self)
    }

    /// Waits until a child has ended.
    pub async fn child_ended(&mut self) {
        // `None` if the runtime is shutting down.
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Reaps children as they end, forever, in a daemon that starts none itself. An error is logged.
    pub async fn reap_all() {
        match Self::new() {
            Ok(mut reaper) => loop {
                reap(None);
                reaper.child_ended().await;
            },
            Err(error) => {
                tracing::warn!(%error, "cannot handle SIGCHLD; zombies of other processes may stay");
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Reaps all ended children except `own`, whose exit status is awaited elsewhere.
///
/// The kernel reports one ended child at a time. If that is `own`, call this again after it is reaped.
pub fn reap(own: Option<Pid>) {
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    // The error is ECHILD: no child is left.
    while let Ok(status) = waitid(Id::All, ended) {
        let Some(pid) = status.pid().filter(|pid| Some(*pid) != own) else { return };
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(status) => tracing::debug!(?status, "reaped a child that another process had started"),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_parsed() {
        assert_eq!(ignored("Name:\tr3e\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\n"), Some(0x1003));
        assert_eq!(ignored("Name:\tr3e\n"), None);
        assert!(!is_ignored(signal_hook::consts::SIGTERM));
    }
}
