//! Stopping when a signal asks for it: orderly at the first, within a bound, and at once at the second (of a daemon: in haste,
//! and at once at the third). SIGHUP stops a job too, whose terminal is closed or whose parent is gone.
//!
//! A thread of its own waits for signals, so that a runtime that is stuck does not keep the process from ending.

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

/// How long a daemon may take to end once a second signal has asked for haste.
const HASTE: Duration = Duration::from_millis(800);

/// How long may be waited for the log of what was asked for: whoever reads it may have stalled.
const SAYING: Duration = Duration::from_millis(100);

/// Listens for SIGTERM, SIGINT and SIGHUP until it is dropped.
#[derive(Debug)]
pub struct Shutdown {
    asked: Asked,
    handle: Handle,
    listener: Option<JoinHandle<()>>,
    /// Dropped at the end: tells the watchdogs that the process has stopped in time.
    alive: Vec<Sender<()>>,
}

/// What signals have asked for so far.
#[derive(Debug, Clone, Default)]
struct Asked {
    stop: CancellationToken,
    haste: CancellationToken,
    reload: Arc<Notify>,
    signal: Arc<AtomicI32>,
    /// Closed when it was logged, each.
    said: Arc<Mutex<Vec<Receiver<()>>>>,
}

/// What is done last when a process is ended at once.
type Farewell = Arc<dyn Fn() + Send + Sync>;

impl Shutdown {
    /// Begins to listen. Once a signal came, the process has `grace` to end by itself; a second one ends it at once.
    ///
    /// SIGHUP asks for a stop however often it comes: the kernel sends it when the parent dies, perhaps once for each of its
    /// threads; and when a terminal is closed, as the shell does too. So it counts neither as a second signal nor as a first one.
    /// SIGHUP and SIGINT stay ignored where the parent had them ignored (`nohup`).
    ///
    /// # Errors
    /// When the system gives no handler or thread.
    pub fn listen(grace: Duration) -> io::Result<Self> {
        let mut numbers = vec![SIGTERM];
        numbers.extend([SIGINT, SIGHUP].into_iter().filter(|number| !signals::is_ignored(*number)));
        Self::start(grace, &numbers, None, Arc::new(|| ()))
    }

    /// Begins to listen as a daemon that has a process of its own to end: a second signal asks for haste ([`Shutdown::haste`]),
    /// and only a third one, or `grace` that has passed, ends the process at once. `farewell` is called before that, on
    /// a thread of its own. SIGHUP asks for the configuration to be read again.
    ///
    /// # Errors
    /// When the system gives no handler or thread.
    pub fn listen_as_daemon(grace: Duration, farewell: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        Self::start(grace, &[SIGTERM, SIGINT, SIGHUP], Some(HASTE), Arc::new(farewell))
    }

    /// `haste` is how long a daemon may take to end once a second signal came; none where that ends the process at once.
    fn start(grace: Duration, numbers: &[i32], haste: Option<Duration>, farewell: Farewell) -> io::Result<Self> {
        let mut signals = Signals::new(numbers)?;
        let (handle, asked) = (signals.handle(), Asked::default());
        let bounds = [Some((grace, "the time to stop in has passed")), haste.map(|it| (it, "haste was asked for"))];
        let (alive, watched): (Vec<_>, Vec<_>) = bounds
            .into_iter()
            .flatten()
            .map(|it| (channel(), it))
            .map(|((alive, watched), (bound, why))| {
                (alive, Watchdog { watched, bound, why, farewell: Arc::clone(&farewell) })
            })
            .unzip();
        let told = asked.clone();
        let listen = move || {
            let mut watchdogs = watched.into_iter();
            let mut first = true;
            let mut hung_up = false;
            for number in signals.forever() {
                match number {
                    SIGHUP if haste.is_some() => {
                        told.reload.notify_one();
                        continue;
                    }
                    SIGHUP if !first => continue,
                    SIGHUP => hung_up = true,
                    // The first that somebody sent asks for the stop that is under way.
                    _ if std::mem::take(&mut hung_up) => continue,
                    _ => {}
                }
                let Some(watchdog) = watchdogs.next() else {
                    end_now(number, if haste.is_some() { "a third signal" } else { "a second signal" }, &*farewell)
                };
                let grace = humantime::format_duration(watchdog.bound);
                let what = if first { "stopping" } else { "hurrying" };
                // Known before it is acted upon, so that it can be waited for; logged after, so that who reads it finds it done.
                let (done, said) = channel();
                told.said.lock().unwrap_or_else(PoisonError::into_inner).push(said);
                watchdog.start(number);
                if std::mem::take(&mut first) {
                    told.signal.store(number, Ordering::Release);
                    told.stop.cancel();
                } else {
                    told.haste.cancel();
                }
                say(done, move || tracing::info!(signal = name(number), %grace, "{what}"));
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

    /// Cancelled by the second signal that a daemon gets.
    #[must_use]
    pub fn haste(&self) -> &CancellationToken {
        &self.asked.haste
    }

    /// Notified by each SIGHUP that a daemon gets.
    #[must_use]
    pub fn reload(&self) -> &Arc<Notify> {
        &self.asked.reload
    }

    /// Waits, though not for long, until what was acted upon is in the log: for the line that is to be the last.
    pub fn announced(&self) {
        let said = std::mem::take(&mut *self.asked.said.lock().unwrap_or_else(PoisonError::into_inner));
        let until = Instant::now() + SAYING;
        for one in said {
            // Closed when it was said; or nobody reads, and it is never said.
            let _said_or_not = one.recv_timeout(until.saturating_duration_since(Instant::now()));
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

/// Ends the process if it has not ended by itself in time. What is at its final path is whole at any moment, so this loses
/// what is in flight, and nothing else.
struct Watchdog {
    watched: Receiver<()>,
    bound: Duration,
    why: &'static str,
    farewell: Farewell,
}

impl Watchdog {
    fn start(self, number: i32) {
        let watch = move || {
            if self.watched.recv_timeout(self.bound) == Err(RecvTimeoutError::Timeout) {
                end_now(number, self.why, &*self.farewell);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("stop-grace".into()).spawn(watch) {
            tracing::error!(%error, "no thread to watch the time to stop in: it has no bound");
        }
    }
}

fn end_now(number: i32, why: &'static str, farewell: &dyn Fn()) -> ! {
    farewell();
    let (done, said) = channel();
    say(done, move || tracing::error!(signal = name(number), "{why}: ending at once"));
    let _said_or_not = said.recv_timeout(SAYING);
    logging::flush(SAYING);
    std::process::exit(i32::from(exit_of(number).unwrap_or(Exit::Unexpected).code()))
}

/// Logs on a thread of its own, so that a log that nobody reads holds up nothing else. The channel closes when it is done.
fn say(done: Sender<()>, log: impl FnOnce() + Send + 'static) {
    let log = move || {
        log();
        drop(done);
    };
    if std::thread::Builder::new().name("last-words".into()).spawn(log).is_err() {
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
    fn signals_ask_for_a_stop_and_of_a_daemon_for_haste_and_reload_and_a_hang_up_counts_once() {
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
        assert!(!daemon.haste().is_cancelled());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        wait_for(daemon.haste());
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
