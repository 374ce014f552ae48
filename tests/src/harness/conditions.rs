//! What a program runs under, where that is not what this process has itself.
#![expect(unsafe_code, reason = "`Command::pre_exec`, between fork and exec")]

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

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
    file_bytes: Option<u64>,
    limits: Vec<(Resource, u64, u64)>,
    umask: Option<u32>,
    one_processor: bool,
    descriptors: Vec<(i32, OwnedFd)>,
    blocked: Vec<Signal>,
    ignored: Vec<Signal>,
}

impl Invocation {
    /// As that user and the group of the same number, of no other group.
    #[must_use]
    pub fn as_user(mut self, id: u32) -> Self {
        self.conditions.user = Some(id);
        self
    }

    /// Where no file may grow beyond that; what would is an error, no signal.
    #[must_use]
    pub fn with_files_up_to(mut self, bytes: u64) -> Self {
        self.conditions.file_bytes = Some(bytes);
        self
    }

    /// With a soft and a hard limit of the system.
    #[must_use]
    pub fn limit(mut self, resource: Resource, soft: u64, hard: u64) -> Self {
        self.conditions.limits.push((resource, soft, hard));
        self
    }

    /// With that umask.
    #[must_use]
    pub fn umask(mut self, bits: u32) -> Self {
        self.conditions.umask = Some(bits);
        self
    }

    /// On one processor only.
    #[must_use]
    pub fn on_one_processor(mut self) -> Self {
        self.conditions.one_processor = true;
        self
    }

    /// With those signals blocked.
    #[must_use]
    pub fn blocking(mut self, signals: &[Signal]) -> Self {
        self.conditions.blocked = signals.to_vec();
        self
    }

    /// With those signals ignored.
    #[must_use]
    pub fn ignoring(mut self, signals: &[Signal]) -> Self {
        self.conditions.ignored = signals.to_vec();
        self
    }

    /// With an open file as its descriptor of that number.
    #[must_use]
    pub fn descriptor(mut self, number: i32, file: impl Into<OwnedFd>) -> Self {
        self.conditions.descriptors.push((number, file.into()));
        self
    }
}

impl Conditions {
    /// Lets a command run under these, with signals that do what they do by default: a test that was started in the
    /// background ignores some.
    pub(super) fn apply(&self, command: &mut Command) {
        if let Some(user) = self.user {
            // By root this also leaves all other groups.
            command.uid(user).gid(user);
        }
        if !self.descriptors.is_empty() {
            let mappings = self.descriptors.iter();
            let mappings = mappings
                .map(|(child_fd, file)| FdMapping { parent_fd: file.try_clone().unwrap(), child_fd: *child_fd });
            command.fd_mappings(mappings.collect()).unwrap();
        }
        let (file_bytes, one_processor) = (self.file_bytes, self.one_processor);
        let blocked: SigSet = self.blocked.iter().copied().collect();
        let (ignored, limits) = (self.ignored.clone(), self.limits.clone());
        let mask = self.umask.map(Mode::from_bits_truncate);
        let mut first = CpuSet::new();
        first.set(first_processor()).unwrap();
        let prepare = move || {
            // SAFETY: no handler is installed.
            unsafe {
                for it in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
                    signal(it, SigHandler::SigDfl)?;
                }
                for &it in &ignored {
                    signal(it, SigHandler::SigIgn)?;
                }
                if file_bytes.is_some() {
                    signal(Signal::SIGXFSZ, SigHandler::SigIgn)?;
                }
            }
            blocked.thread_block()?;
            if let Some(bytes) = file_bytes {
                setrlimit(Resource::RLIMIT_FSIZE, bytes, bytes)?;
            }
            for &(resource, soft, hard) in &limits {
                setrlimit(resource, soft, hard)?;
            }
            if let Some(mask) = mask {
                umask(mask);
            }
            if one_processor {
                sched_setaffinity(Pid::from_raw(0), &first)?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec it makes system calls only, and neither allocates nor takes a lock.
        unsafe {
            command.pre_exec(prepare);
        }
    }
}

/// One that this process may run on.
fn first_processor() -> usize {
    let ours = nix::sched::sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count()).find(|&it| ours.is_set(it).unwrap()).unwrap()
}
