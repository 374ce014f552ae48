//! Shutdown on a signal. The first asks for an orderly stop within a bound, the second ends the process at once. A daemon with a child
//! forces its stop at the second and ends at the third. SIGHUP stops a job too: its terminal was closed, or its parent is gone.
//!
//! A dedicated thread waits for signals, so a stuck runtime does not keep the process alive.

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

/// How long a daemon may take to end once a second signal has forced its stop.
const FORCED: Duration = Duration::from_millis(800);

/// How long to wait for a line to be logged: whoever reads the log may have stalled.
const LOGGING: Duration = Duration::from_millis(100);

/// Listens for SIGTERM, SIGINT and SIGHUP until it is dropped.
#[derive(Debug)]
pub struct Shutdown {
    asked: Asked,
    handle: Handle,
    listener: Option<JoinHandle<()>>,
    /// Dropped at the end, which tells the watchdogs that the process has stopped in time.
    alive: Vec<Sender<()>>,
}

/// What signals have asked for so far.
#[derive(Debug, Clone, Default)]
struct Asked {
    stop: CancellationToken,
    force: CancellationToken,
    reload: Arc<Notify>,
    signal: Arc<AtomicI32>,
    /// One for each line about a signal; closed once it is logged.
    logged: Arc<Mutex<Vec<Receiver<()>>>>,
}

/// Called last when the process is ended at once.
type OnKill = Arc<dyn Fn() + Send + Sync>;

impl Shutdown {
    /// Begins to listen. After the first signal the process has `grace` to end by itself; a second one ends it at once.
    ///
    /// SIGHUP asks for a stop, but never counts as a second signal: the kernel sends it when the parent dies, perhaps once for each of
    /// its threads, and when a terminal is closed, as the shell does too. SIGHUP and SIGINT stay ignored if the parent ignored them
    /// (`nohup`).
    ///
    /// # Errors
    /// If the system gives no handler or thread.
    pub fn listen(grace: Duration) -> io::Result<Self> {
        let mut numbers = vec![SIGTERM];
        numbers.extend([SIGINT, SIGHUP].into_iter().filter(|number| !signals::is_ignored(*number)));
        Self::start(grace, &numbers, None, Arc::new(|| ()))
    }

    /// Begins to listen as a daemon that has a child to end: a second signal forces the stop ([`Shutdown::force`]), and only a third
    /// one, or the end of `grace`, ends the process at once. `on_kill` is called before that, on a thread of its own. SIGHUP asks for
    /// the configuration to be read again.
    ///
    /// # Errors
    /// If the system gives no handler or thread.
    pub fn listen_as_daemon(grace: Duration, on_kill: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        Self::start(grace, &[SIGTERM, SIGINT, SIGHUP], Some(FORCED), Arc::new(on_kill))
    }

    /// `forced` is how long a daemon may take to end after a second signal; if none, that ends the process at once.
    fn start(grace: Duration, numbers: &[i32], forced: Option<Duration>, on_kill: OnKill) -> io::Result<Self> {
        let mut signals = Signals::new(numbers)?;
        let (handle, asked) = (signals.handle(), Asked::default());
        let bounds = [Some((grace, "the time to stop in has passed")), forced.map(|it| (it, "the stop was forced"))];
        let (alive, watched): (Vec<_>, Vec<_>) = bounds
            .into_iter()
            .flatten()
            .map(|it| (channel(), it))
            .map(|((alive, watched), (bound, why))| {
                (alive, Watchdog { watched, bound, why, on_kill: Arc::clone(&on_kill) })
            })
            .unzip();
        let heard = asked.clone();
        let listen = move || {
            let mut watchdogs = watched.into_iter();
            let mut first = true;
            let mut hung_up = false;
            for number in signals.forever() {
                match number {
                    SIGHUP if forced.is_some() => {
                        heard.reload.notify_one();
                        continue;
                    }
                    SIGHUP if !first => continue,
                    SIGHUP => hung_up = true,
                    // The first that somebody sent asks for the stop that is under way.
                    _ if std::mem::take(&mut hung_up) => continue,
                    _ => {}
                }
                let Some(watchdog) = watchdogs.next() else {
                    end_now(number, if forced.is_some() { "a third signal" } else { "a second signal" }, &*on_kill)
                };
                let grace = humantime::format_duration(watchdog.bound);
                let what = if first { "stopping" } else { "hurrying" };
                // Registered before it is acted upon, so that it can be waited for; logged after, so that a reader finds it done.
                let (done, logged) = channel();
                heard.logged.lock().unwrap_or_else(PoisonError::into_inner).push(logged);
                watchdog.start(number);
                if std::mem::take(&mut first) {
                    heard.signal.store(number, Ordering::Release);
                    heard.stop.cancel();
                } else {
                    heard.force.cancel();
                }
                log(done, move || tracing::info!(signal = name(number), %grace, "{what}"));
            }
        };
        let listener = std::thread::Builder::new().name("signals".into()).spawn(listen)?;
        Ok(Self { asked, handle, listener: Some(listener), alive })
    }

    /// Cancelled by the first signal.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.asked.stop
    }

    /// Cancelled by a daemon's second signal.
    #[must_use]
    pub fn force(&self) -> &CancellationToken {
        &self.asked.force
    }

    /// Notified by each SIGHUP of a daemon.
    #[must_use]
    pub fn reload(&self) -> &Arc<Notify> {
        &self.asked.reload
    }

    /// Waits briefly until the lines about signals are in the log, so that the caller's next line is the last one.
    pub fn announced(&self) {
        let logged = std::mem::take(&mut *self.asked.logged.lock().unwrap_or_else(PoisonError::into_inner));
        let until = Instant::now() + LOGGING;
        for one in logged {
            // Closed once it is logged; if nobody reads the log, never.
            let _logged_or_not = one.recv_timeout(until.saturating_duration_since(Instant::now()));
        }
    }

    /// The number of the first signal, if one came.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        Some(self.asked.signal.load(Ordering::Acquire)).filter(|number| *number != 0)
    }

    /// The exit code that the first signal calls for, if one came.
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
        self.announced();
    }
}

/// Ends the process if it has not ended by itself in time. Final paths are whole at any moment, so only what is in flight is lost.
struct Watchdog {
    watched: Receiver<()>,
    bound: Duration,
    why: &'static str,
    on_kill: OnKill,
}

impl Watchdog {
    fn start(self, number: i32) {
        let watch = move || {
            if self.watched.recv_timeout(self.bound) == Err(RecvTimeoutError::Timeout) {
                end_now(number, self.why, &*self.on_kill);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("stop-grace".into()).spawn(watch) {
            tracing::error!(%error, "no thread for the watchdog: this stop has no bound");
        }
    }
}

fn end_now(number: i32, why: &'static str, on_kill: &dyn Fn()) -> ! {
    on_kill();
    let (done, logged) = channel();
    log(done, move || tracing::error!(signal = name(number), "{why}: ending at once"));
    let _logged_or_not = logged.recv_timeout(LOGGING);
    logging::flush(LOGGING);
    std::process::exit(i32::from(exit_of(number).unwrap_or(Exit::Unexpected).code()))
}

/// Logs on a thread of its own, so that a log that nobody reads holds up nothing else. The channel closes when it is done.
fn log(done: Sender<()>, event: impl FnOnce() + Send + 'static) {
    let log = move || {
        event();
        drop(done);
    };
    if std::thread::Builder::new().name("signal-log".into()).spawn(log).is_err() {
        tracing::error!("no thread to log on");
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

    /// Waits for a token, with a bound.
    fn wait_for(token: &CancellationToken) {
        let begun = std::time::Instant::now();
        while !token.is_cancelled() {
            assert!(begun.elapsed() < Duration::from_secs(10), "no signal arrived");
            std::thread::yield_now();
        }
    }

    /// One test for all manners: signals go to the whole process.
    #[test]
    fn signals_stop_and_of_a_daemon_force_and_reload_and_a_hang_up_counts_once() {
        let shutdown = Shutdown::listen(Duration::from_mins(1)).unwrap();
        assert_eq!((shutdown.exit(), shutdown.signal()), (None, None));
        assert!(!shutdown.token().is_cancelled());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        wait_for(shutdown.token());
        assert_eq!((shutdown.exit(), shutdown.signal()), (Some(Exit::Terminated), Some(SIGTERM)));
        drop(shutdown);

        let daemon = Shutdown::listen_as_daemon(Duration::from_mins(1), || ()).unwrap();
        signal_hook::low_level::raise(SIGHUP).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let reload = daemon.reload().notified();
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), reload).await }).unwrap();
        assert!(!daemon.token().is_cancelled());
        signal_hook::low_level::raise(SIGINT).unwrap();
        wait_for(daemon.token());
        assert!(!daemon.force().is_cancelled());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        wait_for(daemon.force());
        assert_eq!(daemon.exit(), Some(Exit::Interrupted));
        drop(daemon);

        // Neither more of them nor the first of the others ends this process at once.
        let job = Shutdown::listen(Duration::from_mins(1)).unwrap();
        signal_hook::low_level::raise(SIGHUP).unwrap();
        wait_for(job.token());
        for number in [SIGHUP, SIGHUP, SIGTERM, SIGHUP] {
            signal_hook::low_level::raise(number).unwrap();
        }
        assert_eq!(job.exit(), Some(Exit::Terminated));
    }
}
