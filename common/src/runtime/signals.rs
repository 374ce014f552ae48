//! What a parent process left of signals: some start their children with signals blocked or ignored.
//!
//! A signal mask is an accident of the parent, and is reset. SIGHUP and SIGINT that are ignored are the user's wish (`nohup`, a
//! background start by a shell script), and a job at a prompt goes on ignoring them. A daemon listens to them whatever its parent
//! left, so the jobs that it starts get the default disposition.

use std::io;
use std::path::Path;

use nix::sys::signal::SigSet;
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::runtime::fs;

/// Where the kernel tells which signals this process ignores.
const STATUS: &str = "/proc/self/status";

/// Unblocks all signals. To be called before any other thread is started: they inherit the mask.
pub fn unblock() {
    if let Err(error) = SigSet::empty().thread_set_mask() {
        super::output::say(&format!("cannot unblock signals: {error}"));
    }
}

/// Whether this process ignores that signal.
pub(super) fn is_ignored(number: i32) -> bool {
    let status = fs::read_text(Path::new(STATUS), 64 << 10).unwrap_or_default();
    ignored(&status).is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}

/// The mask of ignored signals, in the words of `/proc/self/status`.
fn ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Reaps children that this process did not start: orphans that the kernel gives to the first process of a container, and
/// children of a shell that has replaced itself by this program. Without that they stay as zombies.
///
/// It handles SIGCHLD, so the exit status of a child that this process did start can be waited for also where the parent had
/// SIGCHLD ignored.
#[derive(Debug)]
pub struct Reaper(Signal);

impl Reaper {
    /// To be made within the runtime.
    ///
    /// # Errors
    /// When the system gives no handler.
    pub fn new() -> io::Result<Self> {
        signal(SignalKind::child()).map(Self)
    }

    /// Waits until a child has ended.
    pub async fn child_ended(&mut self) {
        // None where the runtime is being shut down.
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Reaps children as they end, for ever: for a daemon that starts none itself. On an error, which is logged, there is only
    /// waiting left.
    pub async fn reap_all() {
        match Self::new() {
            Ok(mut reaper) => loop {
                reap(None);
                reaper.child_ended().await;
            },
            Err(error) => {
                tracing::warn!(%error, "no handler for SIGCHLD: zombies of other processes may stay");
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Reaps all children that have ended, but for `own`, whose exit status is waited for elsewhere.
///
/// The kernel shows one ended child at a time: where that is `own`, the others stay until it is reaped, so this has to be called
/// again then.
pub fn reap(own: Option<Pid>) {
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    // An error is ECHILD: there is no child.
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
    fn the_mask_of_ignored_signals_is_read_from_the_kernels_words() {
        assert_eq!(ignored("Name:\tr3e\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\n"), Some(0x1003));
        assert_eq!(ignored("Name:\tr3e\n"), None);
        assert!(!is_ignored(signal_hook::consts::SIGTERM));
    }
}
