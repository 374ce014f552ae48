//! The terminal while it is drawn on: keys as they are pressed, a screen of its own, no cursor. Whatever ends the program in
//! order, or panics, gives back the terminal as it was.

use std::io::{self, IsTerminal as _, Write as _};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use r3e_common::runtime::logging::{SuspendHook, set_suspend};

/// Whether the terminal is ours. There is one for the process, and any thread may log, or panic. Held for as long as a
/// change takes, so that no thread takes the terminal behind the back of one that has given it back for good.
static TERMINAL: Mutex<Ours> = Mutex::new(Ours(false));

/// How long a panic waits for another thread to be done with the terminal.
const PATIENCE: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Ours(bool);

impl Ours {
    fn lock() -> MutexGuard<'static, Self> {
        TERMINAL.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same where the thread may hold it already; none where it does, or another does for too long.
    fn lock_in_a_panic() -> Option<MutexGuard<'static, Self>> {
        let begun = Instant::now();
        loop {
            match TERMINAL.try_lock() {
                Ok(ours) => return Some(ours),
                Err(TryLockError::Poisoned(ours)) => return Some(ours.into_inner()),
                Err(TryLockError::WouldBlock) if begun.elapsed() > PATIENCE => return None,
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
    }

    fn take(&mut self) -> io::Result<()> {
        self.0 = true;
        enable_raw_mode()?;
        execute!(io::stdout().lock(), EnterAlternateScreen, Hide)
    }

    /// Gives it back, if it is ours; says whether it was. A terminal that is gone takes nothing, and needs nothing.
    fn give_back(&mut self) -> bool {
        let was_ours = std::mem::replace(&mut self.0, false);
        if was_ours {
            let _gone = execute!(io::stdout().lock(), Show, LeaveAlternateScreen);
            let _gone = disable_raw_mode();
        }
        was_ours
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
    /// When it cannot be set to that; then it is as it was.
    pub(super) fn take() -> io::Result<Self> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if let Some(mut ours) = Ours::lock_in_a_panic() {
                ours.give_back();
            }
            before(info);
        }));
        let is_spoilt = Arc::new(AtomicBool::new(false));
        let spoilt = Arc::clone(&is_spoilt);
        // A line of the log goes to the screen that was there before, where it is found again afterwards.
        let log = set_suspend(move |write| {
            let mut ours = Ours::lock();
            let was_ours = io::stderr().is_terminal() && ours.give_back();
            write();
            if was_ours {
                // Where that fails, the next drawing fails too, and says so.
                let _failed = ours.take();
                spoilt.store(true, Ordering::SeqCst);
            }
        });
        let screen = Self { is_spoilt, _log: log };
        Ours::lock().take()?;
        Ok(screen)
    }

    /// Gives the terminal back for the time that `meanwhile` takes.
    ///
    /// # Errors
    /// When it cannot be taken again.
    pub(super) fn without<T>(&self, meanwhile: impl FnOnce() -> T) -> io::Result<T> {
        Ours::lock().give_back();
        let result = meanwhile();
        self.is_spoilt.store(true, Ordering::SeqCst);
        Ours::lock().take()?;
        Ok(result)
    }

    /// Whether something else was on the screen since this was last asked: all has to be drawn anew.
    pub(super) fn was_spoilt(&self) -> bool {
        self.is_spoilt.swap(false, Ordering::SeqCst)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // In vain where the terminal is gone.
        let _gone = io::stdout().flush();
        Ours::lock().give_back();
    }
}
