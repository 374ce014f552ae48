//! A running job or command: a child in its own process group, whose output is passed on. Nothing of the group survives the child.

use std::io;
use std::process::{self, ExitStatus, Stdio};
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

use crate::output::{LastLine, LineSource, pass_on};

/// How long passing on the last lines of an ended job may take.
const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(200);

/// How long the kernel may take to end a killed process; it takes longer if a disk hangs.
const KILL_TIMEOUT: Duration = Duration::from_millis(300);

/// The process group of the running job, so that a watchdog can kill it. Zero means none.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessGroup(Arc<AtomicI32>);

impl ProcessGroup {
    /// Kills the group, if there is one.
    pub(crate) fn kill(&self) {
        let number = self.0.load(Ordering::Acquire);
        if number > 0 {
            // It may have ended just now.
            let _gone = killpg(Pid::from_raw(number), Signal::SIGKILL);
        }
    }

    /// Kills what is left of the group, and forgets its number, which may be reused.
    fn end(&self) {
        self.kill();
        self.0.store(0, Ordering::Release);
    }
}

/// A running child. Dropping it kills its group.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    group: ProcessGroup,
    pid: Pid,
    group_id: Pid,
    /// The guard of its group, if it has one.
    guard: Option<process::Child>,
    begun: Instant,
    outputs: Vec<JoinHandle<()>>,
    last: LastLine,
    stop_state: StopState,
}

/// The state of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopState {
    NotAsked,
    Asked { until: Instant },
    Killed,
}

impl Running {
    /// Starts a job, or a command with a `guard`, whose group it joins. Call this on the main thread: the kernel signals a job when the
    /// thread that started it ends.
    ///
    /// # Errors
    /// If the program is missing, or the system refuses a process.
    pub(crate) fn start(
        mut command: Command,
        program: &str,
        guard: Option<process::Child>,
        format: Format,
        (group, tasks): (&ProcessGroup, &Tasks),
    ) -> io::Result<Self> {
        let to_pid = |id: u32| i32::try_from(id).map(Pid::from_raw).map_err(io::Error::other);
        let leader = guard.as_ref().map(|it| to_pid(it.id())).transpose()?;
        let (out, out_end) = io::pipe()?;
        let (err, err_end) = io::pipe()?;
        // Our lines get their time from journald, so the job's need none either.
        let journal = std::env::var_os("JOURNAL_STREAM");
        if is_journal(io::stderr(), journal.as_deref()) {
            let stat = nix::sys::stat::fstat(&err_end)?;
            command.env("JOURNAL_STREAM", format!("{}:{}", stat.st_dev, stat.st_ino));
        }
        command.stdin(Stdio::null()).stdout(out_end).stderr(err_end).kill_on_drop(true);
        command.process_group(leader.map_or(0, Pid::as_raw));
        let child = command.spawn()?;
        // Closes our write ends, so that the pipes end with the child.
        drop(command);
        let id = child.id().ok_or_else(|| io::Error::other("it ended at once"))?;
        let pid = to_pid(id)?;
        let group_id = leader.unwrap_or(pid);
        group.0.store(group_id.as_raw(), Ordering::Release);
        let source = LineSource { program: program.to_owned(), pid: id, format };
        let last = LastLine::default();
        let mut running = Self {
            child,
            group: group.clone(),
            pid,
            group_id,
            guard,
            begun: Instant::now(),
            outputs: Vec::new(),
            last,
            stop_state: StopState::NotAsked,
        };
        let out = pass_on(out, Stream::Out, source.clone(), running.last.clone())?;
        let err = pass_on(err, Stream::Err, source, running.last.clone())?;
        running.outputs =
            vec![tasks.spawn("passing on a job's output", out), tasks.spawn("passing on a job's log", err)];
        Ok(running)
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// The last line of its log.
    pub(crate) fn last_line(&self) -> String {
        self.last.get()
    }

    /// Waits for it to end, and kills what is left of its group. Cancel safe.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let ended = self.child.wait().await;
        // At once, since its number may be reused.
        self.group.end();
        self.guard = None;
        ended
    }

    /// Asks it to stop within `grace`.
    fn ask(&mut self, signal: Signal, grace: Duration) {
        self.send(signal);
        self.stop_state = StopState::Asked { until: Instant::now() + grace };
    }

    /// Asks it to stop, or kills it if it was asked already.
    pub(crate) fn escalate(&mut self, grace: Duration) {
        if self.was_asked_to_stop() {
            self.kill();
        } else {
            self.ask(Signal::SIGTERM, grace);
        }
    }

    /// Kills its group.
    fn kill(&mut self) {
        self.send(Signal::SIGKILL);
        self.stop_state = StopState::Killed;
    }

    /// When to call [`Running::escalate`], unless it was killed already.
    pub(crate) fn deadline(&self, timeout: Duration) -> Option<Instant> {
        match self.stop_state {
            StopState::NotAsked => Some(self.begun + timeout),
            StopState::Asked { until } => Some(until),
            StopState::Killed => None,
        }
    }

    /// Whether the scheduler stopped it.
    pub(crate) fn was_asked_to_stop(&self) -> bool {
        self.stop_state != StopState::NotAsked
    }

    fn send(&self, signal: Signal) {
        match killpg(self.group_id, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => tracing::error!(%error, pid = self.pid.as_raw(), %signal, "cannot signal the job"),
        }
    }

    /// Asks it to stop, unless it was asked before, and waits for its end. Kills it after `grace`, or when `force` completes.
    /// Returns `None` if even that does not end it.
    pub(crate) async fn end(
        &mut self,
        signal: Signal,
        grace: Duration,
        force: impl Future<Output = ()>,
    ) -> Option<io::Result<ExitStatus>> {
        // A second signal would cut an orderly stop short.
        if !self.was_asked_to_stop() {
            self.ask(signal, grace);
        }
        let until = match self.stop_state {
            StopState::Asked { until } => until,
            StopState::NotAsked | StopState::Killed => Instant::now(),
        };
        let forced = tokio::select! {
            ended = self.wait() => return Some(ended),
            () = sleep_until(until) => false,
            () = force => true,
        };
        self.kill();
        tracing::warn!(pid = self.pid.as_raw(), forced, "the job did not stop in time; killing it");
        timeout(KILL_TIMEOUT, self.wait()).await.ok()
    }

    /// Passes on the last lines of an ended job.
    pub(crate) async fn close(mut self) {
        let until = Instant::now() + LAST_LINES_TIMEOUT;
        for mut output in std::mem::take(&mut self.outputs) {
            if timeout_at(until, &mut output).await.is_err() {
                tracing::warn!(
                    pid = self.pid.as_raw(),
                    "another process holds the job's output open; no longer passing it on"
                );
                output.abort();
                // Aborted, or finished just now.
                let _ended = output.await;
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
