//! The conditions under which a program runs, where they differ from those of this process: user, limits, signals.
#![expect(unsafe_code, reason = "`Command::pre_exec`, between fork and exec")]

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use command_fds::{CommandFdExt as _, FdMapping};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;

use super::running::Invocation;

/// The user that owns nothing.
pub const NOBODY: u32 = 65534;

#[derive(Debug, Default)]
pub(super) struct Conditions {
    user: Option<u32>,
    /// Soft and hard.
    limits: Vec<(Resource, u64, u64)>,
    umask: Option<Mode>,
    one_processor: bool,
    descriptors: Vec<(i32, OwnedFd)>,
    blocked: Vec<Signal>,
    ignored: Vec<Signal>,
}

impl Invocation {
    /// Runs as this user, with the group of the same number and no other groups.
    #[must_use]
    pub fn as_user(mut self, id: u32) -> Self {
        self.conditions.user = Some(id);
        self
    }

    /// Sets a resource limit, soft and hard.
    #[must_use]
    pub fn limit(mut self, resource: Resource, soft: u64, hard: u64) -> Self {
        self.conditions.limits.push((resource, soft, hard));
        self
    }

    /// Limits the size of files.
    #[must_use]
    pub fn with_files_up_to(self, bytes: u64) -> Self {
        self.limit(Resource::RLIMIT_FSIZE, bytes, bytes)
    }

    /// Sets the umask.
    #[must_use]
    pub fn umask(mut self, mask: u32) -> Self {
        self.conditions.umask = Some(Mode::from_bits_truncate(mask));
        self
    }

    /// Pins it to one CPU.
    #[must_use]
    pub fn on_one_processor(mut self) -> Self {
        self.conditions.one_processor = true;
        self
    }

    /// Blocks these signals.
    #[must_use]
    pub fn blocking(mut self, signals: &[Signal]) -> Self {
        self.conditions.blocked.extend(signals);
        self
    }

    /// Ignores these signals.
    #[must_use]
    pub fn ignoring(mut self, signals: &[Signal]) -> Self {
        self.conditions.ignored.extend(signals);
        self
    }

    /// Passes an open file as this descriptor.
    #[must_use]
    pub fn descriptor(mut self, number: i32, file: impl Into<OwnedFd>) -> Self {
        self.conditions.descriptors.push((number, file.into()));
        self
    }
}

impl Conditions {
    /// Applies them to a command, and resets signals to their defaults, since a test that was started in the background
    /// ignores some.
    pub(super) fn apply(&self, command: &mut Command) {
        if let Some(user) = self.user {
            // As root, this also drops all supplementary groups.
            command.uid(user).gid(user);
        }
        if !self.descriptors.is_empty() {
            let mappings = self.descriptors.iter();
            let mappings = mappings
                .map(|(child_fd, file)| FdMapping { parent_fd: file.try_clone().unwrap(), child_fd: *child_fd });
            command.fd_mappings(mappings.collect()).unwrap();
        }
        let (limits, mask) = (self.limits.clone(), self.umask);
        let blocked: SigSet = self.blocked.iter().copied().collect();
        let ignored = self.ignored.clone();
        let processor = self.one_processor.then(first_processor);
        let prepare = move || {
            // SAFETY: no handler is installed.
            unsafe {
                for it in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
                    signal(it, SigHandler::SigDfl)?;
                }
                for &it in &ignored {
                    signal(it, SigHandler::SigIgn)?;
                }
            }
            blocked.thread_block()?;
            for &(resource, soft, hard) in &limits {
                setrlimit(resource, soft, hard)?;
            }
            if let Some(mask) = mask {
                umask(mask);
            }
            if let Some(processor) = &processor {
                sched_setaffinity(Pid::from_raw(0), processor)?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec it makes system calls only, and neither allocates nor takes a lock.
        unsafe {
            command.pre_exec(prepare);
        }
    }
}

/// A CPU that this process may run on.
fn first_processor() -> CpuSet {
    let ours = nix::sched::sched_getaffinity(Pid::from_raw(0)).unwrap();
    let mut first = CpuSet::new();
    first.set((0..CpuSet::count()).find(|&it| ours.is_set(it).unwrap()).unwrap()).unwrap();
    first
}

/// A time zone in which it is noon, so that no daily refresh is due for hours.
#[must_use]
pub fn zone_at_noon() -> String {
    let hours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3600;
    // The names have the sign of what is added to get UTC.
    format!("Etc/GMT{:+}", (hours % 24).cast_signed() - 12)
}
