//! The system's limits on this process: file sizes, open files and threads. They are checked before any work begins.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signal_hook::consts::SIGXFSZ;

use super::exit::{Exit, Fatal};
use super::output::print_error;

/// Open files that every program needs. Most are connections to its control socket.
const MIN_OPEN_FILES: u64 = 64;

/// Open files that the busiest program can use, and the usual soft limit.
const OPEN_FILES: u64 = 1024;

/// The stack of a thread that only waits.
const STACK_BYTES: usize = 64 << 10;

/// The limits that may keep the system from starting a thread.
pub(crate) const THREADS_HINT: &str =
    "RLIMIT_NPROC counts all threads of the user, pids.max those of the control group";

/// A system limit is too low.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// The hard limit of open files.
    #[error("at most {hard} open files are allowed (RLIMIT_NOFILE), expected at least {needed}")]
    OpenFiles {
        /// The hard limit.
        hard: u64,
        /// What is needed.
        needed: u64,
    },
    /// A limit of threads: of the user, the control group or the system.
    #[error("cannot start {needed} threads: {cause} (hint: {})", THREADS_HINT)]
    Threads {
        /// What is needed.
        needed: usize,
        /// The system's error.
        cause: io::Error,
    },
}

/// Waiting may free threads, but does not change a hard limit.
impl Fatal for LimitError {
    fn exit(&self) -> Exit {
        match self {
            Self::OpenFiles { .. } => Exit::Configuration,
            Self::Threads { .. } => Exit::TryAgain,
        }
    }
}

/// Prepares the process at the start: a write beyond the file size limit becomes an error instead of ending the process, and the limit
/// of open files is raised.
///
/// # Errors
/// If the hard limit of open files is too low for any program.
pub fn prepare() -> Result<(), LimitError> {
    // A handler instead of `SIG_IGN`, since children do not inherit it.
    if let Err(error) = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))) {
        // There is no log yet.
        print_error(&format!("a file that exceeds the size limit will end this process: {error}"));
    }
    need_open_files(MIN_OPEN_FILES)
}

/// Raises the soft limit of open files to at least `needed`.
///
/// # Errors
/// If the hard limit is lower.
pub fn need_open_files(needed: u64) -> Result<(), LimitError> {
    // Without that limit, there is nothing to check.
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    let wanted = needed.max(OPEN_FILES).min(hard);
    // If a sandbox forbids raising it, the soft limit may still be enough.
    let allowed = if soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() { wanted } else { soft };
    if allowed < needed { Err(LimitError::OpenFiles { hard, needed }) } else { Ok(()) }
}

/// Checks that `needed` threads can be started, by starting them. Later, libraries would panic or wait forever without one.
///
/// # Errors
/// If the system refuses one.
pub fn need_threads(needed: usize) -> Result<(), LimitError> {
    let gate = Mutex::new(());
    let wait = || drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
    std::thread::scope(|scope| {
        // Held until all threads have started or one was refused.
        let _held = gate.lock().unwrap_or_else(PoisonError::into_inner);
        (0..needed)
            .try_for_each(|_| std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, wait).map(|_| ()))
    })
    .map_err(|cause| LimitError::Threads { needed, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_started_and_end() {
        need_threads(0).unwrap();
        need_threads(20).unwrap();
    }

    #[test]
    fn an_error_names_the_hard_limit_and_what_is_needed() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        need_open_files(hard.min(MIN_OPEN_FILES)).unwrap();
        if let Some(more) = hard.checked_add(1) {
            let error = need_open_files(more).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&format!("at most {hard} ")) && text.contains(&format!("at least {more}")), "{text}");
            assert_eq!(error.exit(), Exit::Configuration);
        }
    }

    #[test]
    fn the_file_size_signal_does_not_end_the_process() {
        prepare().unwrap();
        signal_hook::low_level::raise(SIGXFSZ).unwrap();
    }
}
