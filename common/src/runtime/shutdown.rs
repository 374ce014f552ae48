//! Shutdown on signals. SIGTERM or SIGINT asks for an orderly stop within a time limit; a second one ends the process at once. SIGHUP
//! stops a program too, because its terminal was closed or its parent is gone.
//!
//! A program with a child (the scheduler) kills the child on the second signal and ends at once on the third. SIGHUP reloads its
//! configuration.
//!
//! A thread of its own waits for signals, so a stuck runtime does not keep the process alive.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::{logging, signals};

/// How long a program with a child may take to end after the second signal.
const FORCED_STOP_GRACE: Duration = Duration::from_millis(800);

/// How long to wait for a log line to be written: the reader of the log may have stalled.
const LOG_TIMEOUT: Duration = Duration::from_millis(100);

/// Listens for SIGTERM, SIGINT and SIGHUP until it is dropped.
#[derive(Debug)]
pub struct Shutdown {
    requested: Requested,
    handle: Handle,
    listener: Option<JoinHandle<()>>,
    /// Dropping these tells the watchdogs that the process stopped in time.
    alive: Vec<Sender<()>>,
}

/// What signals have requested so far.
#[derive(Debug, Clone, Default)]
struct Requested {
    stop: CancellationToken,
    force: CancellationToken,
    reload: Arc<Notify>,
    signal: Arc<AtomicI32>,
    /// One for each log line about a signal; its sender is dropped once the line is written.
    logged: Arc<Mutex<Vec<Receiver<()>>>>,
}

/// Called just before the process is ended at once.
type OnKill = Arc<dyn Fn() + Send + Sync>;

impl Shutdown {
    /// Starts to listen. After the first signal the process has `grace` to end by itself; a second one ends it at once.
    ///
    /// SIGHUP never counts as a second signal. The kernel sends it when the parent dies, perhaps once per thread of the parent, and a
    /// closing terminal may send it in addition to the shell. SIGHUP and SIGINT stay ignored if the parent ignored them (`nohup`).
    ///
    /// # Errors
    /// If the system refuses a signal handler or a thread.
    pub fn listen(grace: Duration) -> io::Result<Self> {
        let mut numbers = vec![SIGTERM];
        numbers.extend([SIGINT, SIGHUP].into_iter().filter(|number| !signals::is_ignored(*number)));
        Self::start(grace, &numbers, None, Arc::new(|| ()))
    }

    /// Starts to listen in a program with a child. The second signal cancels [`Shutdown::force`]; only the third, or the end of
    /// `grace`, ends the process at once, after calling `on_kill` on another thread. SIGHUP triggers [`Shutdown::reload`].
    ///
    /// # Errors
    /// If the system refuses a signal handler or a thread.
    pub fn listen_with_child(grace: Duration, on_kill: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        Self::start(grace, &[SIGTERM, SIGINT, SIGHUP], Some(FORCED_STOP_GRACE), Arc::new(on_kill))
    }

    /// `forced_grace` is the time limit after a second signal; without one, that signal ends the process at once.
    fn start(grace: Duration, numbers: &[i32], forced_grace: Option<Duration>, on_kill: OnKill) -> io::Result<Self> {
        let mut signals = Signals::new(numbers)?;
        let (handle, requested) = (signals.handle(), Requested::default());
        let (mut alive, mut watchdogs) = (Vec::new(), Vec::new());
        for (grace, reason) in [(Some(grace), "not stopped in time"), (forced_grace, "not stopped in time when forced")]
        {
            let Some(grace) = grace else { continue };
            let (sender, stopped) = channel();
            alive.push(sender);
            watchdogs.push(Watchdog { stopped, grace, reason, on_kill: Arc::clone(&on_kill) });
        }
        let has_child = forced_grace.is_some();
        let listener = Listener { requested: requested.clone(), watchdogs: watchdogs.into_iter(), has_child, on_kill };
        let listen = move || listener.run(signals.forever());
        let listener = std::thread::Builder::new().name("signals".into()).spawn(listen)?;
        Ok(Self { requested, handle, listener: Some(listener), alive })
    }

    /// Cancelled by the first signal.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.requested.stop
    }

    /// Cancelled by the second signal, in a program with a child.
    #[must_use]
    pub fn force(&self) -> &CancellationToken {
        &self.requested.force
    }

    /// Notified by each SIGHUP, in a program with a child.
    #[must_use]
    pub fn reload(&self) -> &Arc<Notify> {
        &self.requested.reload
    }

    /// Waits briefly until all log lines about signals are written, so that the caller's next line is the last one.
    pub fn flush_log(&self) {
        let logged = std::mem::take(&mut *self.requested.logged.lock().unwrap_or_else(PoisonError::into_inner));
        let until = Instant::now() + LOG_TIMEOUT;
        for one in logged {
            // Disconnected: it is written. Timeout: nobody reads the log.
            let _either = one.recv_timeout(until.saturating_duration_since(Instant::now()));
        }
    }

    /// The number of the first signal, if one came.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        Some(self.requested.signal.load(Ordering::Acquire)).filter(|number| *number != 0)
    }

    /// The exit code for the first signal, if one came.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        exit_of(self.signal()?)
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        self.alive.clear();
        self.handle.close();
        if let Some(listener) = self.listener.take()
            && listener.join().is_err()
        {
            tracing::error!("the thread that waits for signals panicked");
        }
        self.flush_log();
    }
}

/// Acts on each signal, on a thread of its own.
struct Listener {
    requested: Requested,
    /// One for each signal that does not end the process at once.
    watchdogs: std::vec::IntoIter<Watchdog>,
    has_child: bool,
    on_kill: OnKill,
}

impl Listener {
    fn run(mut self, signals: impl Iterator<Item = i32>) {
        let mut stopping = false;
        let mut hung_up = false;
        for number in signals {
            match number {
                SIGHUP if self.has_child => {
                    self.requested.reload.notify_one();
                    continue;
                }
                SIGHUP if stopping => continue,
                SIGHUP => hung_up = true,
                // After SIGHUP, the first signal that a user sends asks for the same stop.
                _ if std::mem::take(&mut hung_up) => continue,
                _ => {}
            }
            self.stop(number, !std::mem::replace(&mut stopping, true));
        }
    }

    fn stop(&mut self, number: i32, is_first: bool) {
        let Some(watchdog) = self.watchdogs.next() else {
            end_now(number, if self.has_child { "third signal" } else { "second signal" }, &*self.on_kill)
        };
        let grace = humantime::format_duration(watchdog.grace);
        // `flush_log` must find the line as soon as the stop is requested; the line must not claim a stop before it is.
        let (sender, logged) = channel();
        self.requested.logged.lock().unwrap_or_else(PoisonError::into_inner).push(logged);
        watchdog.start(number);
        if is_first {
            self.requested.signal.store(number, Ordering::Release);
            self.requested.stop.cancel();
        } else {
            self.requested.force.cancel();
        }
        let what = if is_first { "stopping" } else { "forcing the stop" };
        log(sender, move || tracing::info!(signal = name(number), %grace, "{what}"));
    }
}

/// Ends the process if it has not ended by itself in time. Final paths are complete at any moment, so only work in flight is lost.
struct Watchdog {
    stopped: Receiver<()>,
    grace: Duration,
    reason: &'static str,
    on_kill: OnKill,
}

impl Watchdog {
    fn start(self, number: i32) {
        let watch = move || {
            if self.stopped.recv_timeout(self.grace) == Err(RecvTimeoutError::Timeout) {
                end_now(number, self.reason, &*self.on_kill);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("stop-grace".into()).spawn(watch) {
            tracing::error!(%error, "cannot start the watchdog; this stop has no time limit");
        }
    }
}

fn end_now(number: i32, reason: &'static str, on_kill: &dyn Fn()) -> ! {
    on_kill();
    let (sender, logged) = channel();
    log(sender, move || tracing::error!(signal = name(number), "{reason}: ending at once"));
    let _logged_or_not = logged.recv_timeout(LOG_TIMEOUT);
    logging::flush(LOG_TIMEOUT);
    std::process::exit(i32::from(exit_of(number).unwrap_or(Exit::Unexpected).code()))
}

/// Logs on another thread, so that a stalled log delays nothing else, and then drops `done`.
fn log(done: Sender<()>, event: impl FnOnce() + Send + 'static) {
    let log = move || {
        event();
        drop(done);
    };
    if std::thread::Builder::new().name("signal-log".into()).spawn(log).is_err() {
        tracing::error!("cannot start a thread to log a signal");
    }
}

fn exit_of(number: i32) -> Option<Exit> {
    match number {
        SIGINT => Some(Exit::Interrupted),
        SIGTERM | SIGHUP => Some(Exit::Terminated),
        _ => None,
    }
}

fn name(number: i32) -> &'static str {
    signal_hook::low_level::signal_name(number).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use r3e_needs::until;

    /// One test for all cases, since signals go to the whole process.
    #[test]
    fn signals_stop_force_and_reload_and_a_hangup_counts_once() {
        let shutdown = Shutdown::listen(Duration::from_mins(1)).unwrap();
        assert_eq!((shutdown.exit(), shutdown.signal()), (None, None));
        assert!(!shutdown.token().is_cancelled());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        until("the signal is handled", || shutdown.token().is_cancelled());
        assert_eq!((shutdown.exit(), shutdown.signal()), (Some(Exit::Terminated), Some(SIGTERM)));
        drop(shutdown);

        let scheduler = Shutdown::listen_with_child(Duration::from_mins(1), || ()).unwrap();
        signal_hook::low_level::raise(SIGHUP).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let reload = scheduler.reload().notified();
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), reload).await }).unwrap();
        assert!(!scheduler.token().is_cancelled());
        signal_hook::low_level::raise(SIGINT).unwrap();
        until("the signal is handled", || scheduler.token().is_cancelled());
        assert!(!scheduler.force().is_cancelled());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        until("the signal is handled", || scheduler.force().is_cancelled());
        assert_eq!(scheduler.exit(), Some(Exit::Interrupted));
        drop(scheduler);

        // Neither further hangups nor the first SIGTERM after one ends this process at once.
        let job = Shutdown::listen(Duration::from_mins(1)).unwrap();
        signal_hook::low_level::raise(SIGHUP).unwrap();
        until("the signal is handled", || job.token().is_cancelled());
        for number in [SIGHUP, SIGHUP, SIGTERM, SIGHUP] {
            signal_hook::low_level::raise(number).unwrap();
        }
        assert_eq!(job.exit(), Some(Exit::Terminated));
    }
}
