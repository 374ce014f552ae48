//! Owns the terminal while `top` draws on it: raw mode, the alternate screen, no cursor. The terminal is restored on exit,
//! on a panic, and while the process is suspended or logs.

use std::io::{self, IsTerminal as _};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use r3e_common::runtime::logging::{SuspendHook, set_suspend};

/// The terminal of this process. Any thread may log or panic, so each change is made under the lock.
static TERMINAL: Mutex<State> = Mutex::new(State { taken: false });

/// How long a panic waits for a thread that is changing the terminal.
const PANIC_WAIT: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct State {
    taken: bool,
}

impl State {
    fn lock() -> MutexGuard<'static, Self> {
        TERMINAL.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if another thread holds the lock for too long, or this one already does.
    fn lock_in_panic() -> Option<MutexGuard<'static, Self>> {
        let started = Instant::now();
        loop {
            match TERMINAL.try_lock() {
                Ok(state) => return Some(state),
                Err(TryLockError::Poisoned(state)) => return Some(state.into_inner()),
                Err(TryLockError::WouldBlock) if started.elapsed() > PANIC_WAIT => return None,
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
    }

    fn take(&mut self) -> io::Result<()> {
        self.taken = true;
        enable_raw_mode()?;
        execute!(io::stdout().lock(), EnterAlternateScreen, Hide)
    }

    /// Restores the terminal if it is taken, and returns whether it was. Errors mean that the terminal was closed.
    fn restore(&mut self) -> bool {
        let taken = std::mem::replace(&mut self.taken, false);
        if taken {
            let _closed = execute!(io::stdout().lock(), Show, LeaveAlternateScreen);
            let _closed = disable_raw_mode();
        }
        taken
    }
}

/// The terminal, which is restored on drop.
#[derive(Debug)]
pub(super) struct Screen {
    dirty: Arc<AtomicBool>,
    _log: SuspendHook,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        let default_hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if let Some(mut state) = State::lock_in_panic() {
                state.restore();
            }
            default_hook(info);
        }));
        let dirty = Arc::new(AtomicBool::new(false));
        let spoilt = Arc::clone(&dirty);
        // Log lines go to the normal screen, where they are still visible after the program has ended.
        let log = set_suspend(move |write| {
            let mut state = State::lock();
            let was_taken = io::stderr().is_terminal() && state.restore();
            write();
            if was_taken {
                // If this fails, so does the next drawing, and that error is reported.
                let _failed = state.take();
                spoilt.store(true, Ordering::SeqCst);
            }
        });
        let screen = Self { dirty, _log: log };
        State::lock().take()?;
        Ok(screen)
    }

    /// Restores the terminal while `f` runs.
    pub(super) fn without<T>(&self, f: impl FnOnce() -> T) -> io::Result<T> {
        State::lock().restore();
        let result = f();
        self.dirty.store(true, Ordering::SeqCst);
        State::lock().take()?;
        Ok(result)
    }

    /// Whether the screen has to be drawn from scratch; resets that.
    pub(super) fn take_dirty(&self) -> bool {
        self.dirty.swap(false, Ordering::SeqCst)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        State::lock().restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;
    use nix::sys::termios::tcgetattr;
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    /// Runs itself again in a terminal of its own, and panics there.
    #[test]
    fn a_panic_restores_the_terminal() {
        const IN_CHILD: &str = "R3E_TEST_PANIC";
        if std::env::var_os(IN_CHILD).is_some() {
            let _screen = Screen::take().unwrap();
            panic!("the screen is taken");
        }
        let terminal = openpty(None, None).unwrap();
        let settings = || format!("{:?}", tcgetattr(&terminal.slave).unwrap());
        let before = settings();
        let slave = || Stdio::from(terminal.slave.try_clone().unwrap());
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "top::screen::tests::a_panic_restores_the_terminal", "--nocapture"])
            .envs([(IN_CHILD, "1"), ("RUST_BACKTRACE", "0")])
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .status()
            .unwrap();
        assert!(!status.success());
        assert_eq!(settings(), before);
        drop(terminal.slave);
        let mut shown = Vec::new();
        // Ends with EIO, as nobody has the other side any more.
        let _end = std::fs::File::from(terminal.master).read_to_end(&mut shown);
        let shown = String::from_utf8_lossy(&shown);
        let (taken, restored) = (shown.find("\u{1b}[?1049h").unwrap(), shown.find("\u{1b}[?1049l").unwrap());
        let message = shown.find("the screen is taken").unwrap();
        assert!(taken < restored && restored < message, "{}", shown.escape_debug());
    }
}
