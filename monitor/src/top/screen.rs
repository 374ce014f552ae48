//! The terminal while it is drawn on: keys as they are pressed, a screen of its own, no cursor. Whatever ends the program in
//! order, or panics, gives back the terminal as it was; only once, and in that order.

use std::io::{self, Write as _};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use r3e_common::process::logging::{SuspendHook, set_suspend};

/// Whether the terminal is ours. There is one for the process, and a panic on any thread has to give it back.
static OURS: AtomicBool = AtomicBool::new(false);

/// Takes the terminal.
fn take() -> io::Result<()> {
    OURS.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(io::stdout().lock(), EnterAlternateScreen, Hide)
}

/// Gives it back, if it is ours. A terminal that is gone takes nothing, and needs nothing.
fn give_back() {
    if OURS.swap(false, Ordering::SeqCst) {
        let _gone = execute!(io::stdout().lock(), Show, LeaveAlternateScreen);
        let _gone = disable_raw_mode();
    }
}

/// Holds the terminal; it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    is_spoilt: Arc<AtomicBool>,
    _log: SuspendHook,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it cannot be set to that, and is as it was.
    pub(super) fn take() -> io::Result<Self> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
        let is_spoilt = Arc::new(AtomicBool::new(false));
        let spoilt = Arc::clone(&is_spoilt);
        // A line of the log goes to the screen that was there before, where it is found again afterwards.
        let log = set_suspend(move |write| {
            if OURS.load(Ordering::SeqCst) && io::IsTerminal::is_terminal(&io::stderr()) {
                give_back();
                write();
                // Where that fails, the next drawing fails too, and says so.
                let _failed = take();
                spoilt.store(true, Ordering::SeqCst);
            } else {
                write();
            }
        });
        let screen = Self { is_spoilt, _log: log };
        take()?;
        Ok(screen)
    }

    /// Gives the terminal back for the time that `meanwhile` takes.
    ///
    /// # Errors
    /// When it cannot be taken again.
    pub(super) fn without<T>(&self, meanwhile: impl FnOnce() -> T) -> io::Result<T> {
        give_back();
        let result = meanwhile();
        self.is_spoilt.store(true, Ordering::SeqCst);
        take()?;
        Ok(result)
    }

    /// Whether something else was on the screen since this was last asked: all has to be drawn anew.
    pub(super) fn was_spoilt(&self) -> bool {
        self.is_spoilt.swap(false, Ordering::SeqCst)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
        let _closed = io::stdout().flush();
    }
}
