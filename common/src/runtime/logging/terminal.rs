//! Standard error, shared by the log and a progress bar, which is suspended while a line is written.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, PoisonError, RwLock};

use tracing_subscriber::fmt::MakeWriter;

use super::background::{self, Stream};

/// Hides the progress bar, calls its argument once, and shows the bar again.
type Suspend = dyn Fn(&mut dyn FnMut()) + Send + Sync;

/// Set while a progress bar is drawn.
static SUSPEND: RwLock<Option<Arc<Suspend>>> = RwLock::new(None);

thread_local! {
    /// Whether this thread is inside the hook, which would deadlock if it logged through itself.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Removes the hook of [`set_suspend`] when dropped.
#[must_use = "the hook is removed when this is dropped"]
pub struct SuspendHook(Arc<Suspend>);

impl fmt::Debug for SuspendHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SuspendHook")
    }
}

impl Drop for SuspendHook {
    fn drop(&mut self) {
        let mut suspend = SUSPEND.write().unwrap_or_else(PoisonError::into_inner);
        // Unless a later hook has replaced this one.
        if suspend.as_ref().is_some_and(|current| Arc::ptr_eq(current, &self.0)) {
            *suspend = None;
        }
    }
}

/// From now on, each line of the log is written inside `suspend`, which must call its argument once. For a progress bar:
/// `set_suspend(move |write| bars.suspend(write))`. The hook is global; the last one set wins.
pub fn set_suspend(suspend: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static) -> SuspendHook {
    let suspend: Arc<Suspend> = Arc::new(suspend);
    *SUSPEND.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&suspend));
    SuspendHook(suspend)
}

/// Calls `write` inside the hook, if there is one.
fn suspended(write: &mut dyn FnMut()) {
    /// Resets the flag even if the hook panics.
    struct Inside;
    impl Drop for Inside {
        fn drop(&mut self) {
            INSIDE.set(false);
        }
    }
    let suspend = SUSPEND.read().unwrap_or_else(PoisonError::into_inner).clone();
    match suspend {
        Some(suspend) if !INSIDE.replace(true) => {
            let _inside = Inside;
            suspend(write);
        }
        _ => write(),
    }
}

/// Standard error. Write errors are ignored, so that a program outlives whoever reads its log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminal;

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        suspended(&mut || {
            background::write(Stream::Err, bytes);
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _closed = io::stderr().lock().flush();
        Ok(())
    }
}

impl MakeWriter<'_> for Terminal {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The hook is global: its tests run one at a time.
    static SERIAL: Mutex<()> = Mutex::new(());

    #[test]
    fn lines_are_written_inside_the_hook_while_it_is_set() {
        let _serial = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let this_test = std::thread::current().id();
        let hook = set_suspend(move |write| {
            // Other tests may log meanwhile.
            if std::thread::current().id() == this_test {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            write();
        });
        let mut written = 0;
        suspended(&mut || written += 1);
        assert_eq!((calls.load(Ordering::Relaxed), written), (1, 1));
        drop(hook);
        suspended(&mut || written += 1);
        assert_eq!((calls.load(Ordering::Relaxed), written), (1, 2));
    }

    #[test]
    fn what_the_hook_logs_is_written_at_once() {
        let _serial = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&inner);
        let _hook = set_suspend(move |write| {
            suspended(&mut || {
                counted.fetch_add(1, Ordering::Relaxed);
            });
            write();
        });
        let mut written = 0;
        for _ in 0..2 {
            suspended(&mut || written += 1);
        }
        assert_eq!((inner.load(Ordering::Relaxed), written), (2, 2));
    }

    #[test]
    fn an_earlier_guard_leaves_a_later_hook() {
        let _serial = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
        let first = set_suspend(|write| write());
        let second = set_suspend(|write| write());
        drop(first);
        assert!(SUSPEND.read().unwrap().is_some());
        drop(second);
        assert!(SUSPEND.read().unwrap().is_none());
    }

    #[test]
    fn a_progress_bar_can_be_the_hook() {
        let _serial = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
        let bars = indicatif::MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden());
        let _hook = set_suspend(move |write| bars.suspend(write));
        let mut written = 0;
        suspended(&mut || written += 1);
        assert_eq!(written, 1);
    }

    /// Runs the next test in a child process whose standard error is closed.
    #[test]
    fn a_closed_standard_error_stops_nothing() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let name = concat!(module_path!(), "::child_with_a_closed_standard_error");
        let (_crate, name) = name.split_once("::").unwrap();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .stderr(writer)
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && stdout.contains("1 passed"), "{stdout}");
    }

    #[test]
    #[ignore = "run by a_closed_standard_error_stops_nothing"]
    fn child_with_a_closed_standard_error() {
        use crate::runtime::logging::{Format, Level, Options, init};
        io::stderr().lock().write_all(b"x").unwrap_err();
        init(Options { level: Level::Trace, format: Format::Text, colours: false, times: true }).unwrap();
        let _hook = set_suspend(|write| {
            tracing::warn!(target: "r3e_test", "from inside the hook");
            write();
        });
        tracing::error!(target: "r3e_test", "lost");
        Terminal.flush().unwrap();
    }
}
