//! A job at work: a child in a process group of its own, whose output is passed on, and of which nothing is left when it is
//! over.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use r3e_common::runtime::logging::{Format, Stream, is_journal};
use r3e_common::runtime::tasks::Tasks;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::output::{LastLine, Speaker, pass_on};

/// How long the last lines of a job that is over may take to be passed on.
const LAST_LINES: Duration = Duration::from_millis(200);

/// How long the kernel may take to end a process that was killed; longer where the disk does not answer.
const DYING: Duration = Duration::from_millis(300);

/// The process group of the job at work, for the thread that ends this process when all else fails. Zero for none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group(Arc<AtomicI32>);

impl Group {
    /// Kills all of it, if there is one.
    pub(crate) fn kill(&self) {
        let number = self.0.load(Ordering::Acquire);
        if number > 0 {
            // It may have gone by itself this moment.
            let _gone = killpg(Pid::from_raw(number), Signal::SIGKILL);
        }
    }

    /// Kills what is left of it; its number may be another's from now on.
    fn end(&self) {
        self.kill();
        self.0.store(0, Ordering::Release);
    }
}

/// A child at work. Killed with all of its group when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    group: Group,
    number: Pid,
    begun: Instant,
    outputs: Vec<JoinHandle<()>>,
    last: LastLine,
    press: Press,
}

/// How far it was pressed to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Press {
    No,
    Asked { until: Instant },
    Killed,
}

impl Running {
    /// Starts a job. To be called on the thread that lives as long as this process: the kernel tells a child of the death of
    /// the thread that started it.
    ///
    /// # Errors
    /// When the program is not there, or the system gives no process.
    pub(crate) fn start(
        mut command: Command,
        program: &'static str,
        format: Format,
        group: &Group,
        tasks: &Tasks,
    ) -> io::Result<Self> {
        let (out, out_end) = io::pipe()?;
        let (err, err_end) = io::pipe()?;
        // Told in the words that journald uses: our own lines get their time there, so a job's need none.
        let journal = std::env::var_os("JOURNAL_STREAM");
        if is_journal(io::stderr(), journal.as_deref()) {
            let stat = nix::sys::stat::fstat(&err_end)?;
            command.env("JOURNAL_STREAM", format!("{}:{}", stat.st_dev, stat.st_ino));
        }
        command.stdin(Stdio::null()).stdout(out_end).stderr(err_end).process_group(0).kill_on_drop(true);
        let child = command.spawn()?;
        // Our ends of what it writes to go with the command, so that the pipes end with the child.
        drop(command);
        let pid = child.id().ok_or_else(|| io::Error::other("it has ended before it began"))?;
        let number = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
        group.0.store(number.as_raw(), Ordering::Release);
        let speaker = Speaker { program, pid, format };
        let last = LastLine::default();
        let mut running = Self {
            child,
            group: group.clone(),
            number,
            begun: Instant::now(),
            outputs: Vec::new(),
            last,
            press: Press::No,
        };
        let out = pass_on(out, Stream::Out, speaker.clone(), running.last.clone())?;
        let err = pass_on(err, Stream::Err, speaker, running.last.clone())?;
        running.outputs =
            vec![tasks.spawn("passing on a job's output", out), tasks.spawn("passing on a job's log", err)];
        Ok(running)
    }

    pub(crate) fn pid(&self) -> Pid {
        self.number
    }

    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// What it has said last.
    pub(crate) fn last_line(&self) -> String {
        self.last.get()
    }

    /// Waits for it to end, and kills whatever it has left running. Nothing is lost when this is called off and called again.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let ended = self.child.wait().await;
        // At once: its number is free from now on, but for the group's sake.
        self.group.end();
        ended
    }

    /// Asks it to end, within that time.
    fn ask(&mut self, signal: Signal, grace: Duration) {
        self.send(signal);
        self.press = Press::Asked { until: Instant::now() + grace };
    }

    /// Presses it to end: asks it at first, and kills it when that was done before.
    pub(crate) fn press(&mut self, grace: Duration) {
        if self.was_pressed() {
            self.kill();
        } else {
            self.ask(Signal::SIGTERM, grace);
        }
    }

    /// Kills it and all that it has started.
    fn kill(&mut self) {
        self.send(Signal::SIGKILL);
        self.press = Press::Killed;
    }

    /// When it has to be pressed to end, where it may take that long and was not killed already.
    pub(crate) fn deadline(&self, timeout: Duration) -> Option<Instant> {
        match self.press {
            Press::No => Some(self.begun + timeout),
            Press::Asked { until } => Some(until),
            Press::Killed => None,
        }
    }

    /// Whether this process had it end.
    pub(crate) fn was_pressed(&self) -> bool {
        self.press != Press::No
    }

    fn send(&self, signal: Signal) {
        match killpg(self.number, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => tracing::error!(%error, pid = self.number.as_raw(), "the job cannot be sent {signal}"),
        }
    }

    /// Asks it to end, unless it was asked before, and waits until it has; kills it when its time is over or the stop is forced.
    /// None where even that does not end it.
    pub(crate) async fn end(
        &mut self,
        signal: Signal,
        grace: Duration,
        force: impl Future<Output = ()>,
    ) -> Option<io::Result<ExitStatus>> {
        // A second signal would cut short what it is doing to end in order.
        if !self.was_pressed() {
            self.ask(signal, grace);
        }
        let until = match self.press {
            Press::Asked { until } => until,
            Press::No | Press::Killed => Instant::now(),
        };
        let why = tokio::select! {
            ended = self.wait() => return Some(ended),
            () = sleep_until(until) => "has not stopped in time",
            () = force => "is to stop at once",
        };
        self.kill();
        tracing::warn!(pid = self.number.as_raw(), "the job {why}: it is killed");
        timeout(DYING, self.wait()).await.ok()
    }

    /// Takes leave of one that has ended: its last lines are passed on.
    pub(crate) async fn close(mut self) {
        let until = Instant::now() + LAST_LINES;
        for mut output in std::mem::take(&mut self.outputs) {
            if timeout_at(until, &mut output).await.is_err() {
                tracing::warn!(
                    pid = self.number.as_raw(),
                    "something still holds the job's output: it is not passed on any more"
                );
                output.abort();
                // Called off, or over by itself this moment.
                let _over = output.await;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.group.end();
        for output in &self.outputs {
            output.abort();
        }
    }
}
