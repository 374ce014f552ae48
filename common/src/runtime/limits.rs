//! Limits of the system on this process: files' sizes, open files, threads. What is too little to work with is found at the
//! start, before anything is begun.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signal_hook::consts::SIGXFSZ;

use super::exit::{Exit, Fatal};
use super::output::say;

/// Open files that every program can do with: the answers of a watch's socket are most of them.
const MIN_OPEN_FILES: u64 = 64;

/// Open files that the busiest program can use: what most systems allow anyway.
const OPEN_FILES: u64 = 1024;

/// The stack of a thread that does nothing.
const STACK_BYTES: usize = 64 << 10;

/// Which limits of the system may be behind a thread that it does not give.
pub(crate) const THREADS_HINT: &str =
    "RLIMIT_NPROC counts all threads of the user, pids.max those of the control group";

/// A limit of the system is too low.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// Of open files, and it may not be raised.
    #[error("at most {hard} open files are allowed (RLIMIT_NOFILE), expected at least {needed}")]
    OpenFiles {
        /// The hard limit.
        hard: u64,
        /// What is needed.
        needed: u64,
    },
    /// Of threads: of this user, of the control group, or of the system.
    #[error("cannot start {needed} threads: {cause} (hint: {})", THREADS_HINT)]
    Threads {
        /// What is needed.
        needed: usize,
        /// The system's error.
        cause: io::Error,
    },
}

/// Other processes of the user may end; a hard limit does not change by waiting.
impl Fatal for LimitError {
    fn exit(&self) -> Exit {
        match self {
            Self::OpenFiles { .. } => Exit::Configuration,
            Self::Threads { .. } => Exit::TryAgain,
        }
    }
}

/// Makes the best of the limits that there are, once at the start: a write beyond the limit on a file's size is an error
/// instead of the end of the process, and as many files may be open as any program needs.
///
/// # Errors
/// When too few files may be open for any program.
pub fn prepare() -> Result<(), LimitError> {
    // A handler, not `SIG_IGN`: programs that are started by this one do not inherit it.
    if let Err(error) = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))) {
        // There is no log yet.
        say(&format!("a file that grows beyond its limit ends this process: {error}"));
    }
    need_open_files(MIN_OPEN_FILES)
}

/// Makes sure that so many files can be open, and raises the soft limit for that.
///
/// # Errors
/// When the hard limit is lower.
pub fn need_open_files(needed: u64) -> Result<(), LimitError> {
    // Where the system does not know the limit, there is none to keep.
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    let wanted = needed.max(OPEN_FILES).min(hard);
    // Up to the hard limit everybody may raise it; whoever is refused still has the soft one.
    let allowed = if soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() { wanted } else { soft };
    if allowed < needed { Err(LimitError::OpenFiles { hard, needed }) } else { Ok(()) }
}

/// Makes sure that so many threads can be started, by starting them. What needs one later and gets none ends in an error
/// where that is ours to say, and in a panic or in waiting for ever where it is a library's.
///
/// # Errors
/// When the system refuses one.
pub fn need_threads(needed: usize) -> Result<(), LimitError> {
    let gate = Mutex::new(());
    let wait = || drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
    std::thread::scope(|scope| {
        // Open when all are there, or when one is refused.
        let _shut = gate.lock().unwrap_or_else(PoisonError::into_inner);
        (0..needed)
            .try_for_each(|_| std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, wait).map(|_| ()))
    })
    .map_err(|cause| LimitError::Threads { needed, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_asked_for_and_gone_again() {
        need_threads(0).unwrap();
        need_threads(20).unwrap();
    }

    #[test]
    fn what_the_hard_limit_forbids_is_told_with_both_figures() {
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
    fn a_file_that_grows_beyond_its_limit_ends_nobody() {
        prepare().unwrap();
        signal_hook::low_level::raise(SIGXFSZ).unwrap();
    }
}
