//! The daemons, and what a supervisor does for them: it starts them, restarts them when they have ended, and keeps their logs.

use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use r3e_common::runtime::control::{Endpoint, Stats};

use super::folder::Folder;
use super::http::ask;
use super::log::{self, Logged};
use super::planted::PlantedLeak;
use super::violations::Violations;
use crate::harness::{children, pid_of};

/// How long a daemon may take to answer after its start, and to end after SIGTERM.
pub(super) const MAX_ANSWER: Duration = Duration::from_mins(1);

/// How often to look whether something has happened.
pub(super) const POLL: Duration = Duration::from_millis(5);

/// The programs to run, and the leak that they have on purpose.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    /// Their folder.
    pub(super) folder: PathBuf,
    /// A leak.
    pub(super) plant: Option<PlantedLeak>,
}

impl Programs {
    /// A program ready to run in a folder, logging to a pipe.
    #[must_use]
    pub(super) fn command(&self, folder: &Folder, program: &str) -> std::process::Command {
        let mut command = folder.command(&self.folder.join(program));
        if let Some(plant) = &self.plant {
            command.env(PlantedLeak::VARIABLE, format!("{plant}:{}", folder.run().display()));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

/// A daemon: a process, or the ones after it.
#[derive(Debug)]
pub(super) struct Daemon {
    /// Its name in the report: `scheduler`, `watch`, `serve`.
    pub(super) name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    child: Child,
    /// One thread for each start.
    logging: Vec<JoinHandle<()>>,
    /// What it has logged.
    pub(super) logged: Arc<Logged>,
    /// How often it was started.
    pub(super) starts: u64,
    /// The signal that the soak has sent it.
    signalled: Option<Signal>,
}

impl Daemon {
    fn start(
        (name, program, arguments): (&'static str, &'static str, &'static [&'static str]),
        programs: &Programs,
        folder: &Folder,
        violations: &Arc<Violations>,
    ) -> anyhow::Result<Self> {
        let logged = Arc::new(Logged::default());
        let (child, logging) = spawn((name, program, arguments), programs, folder, &logged, violations)?;
        Ok(Self { name, program, arguments, child, logging: vec![logging], logged, starts: 1, signalled: None })
    }

    /// Its process id.
    #[must_use]
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn socket(&self, folder: &Folder) -> PathBuf {
        folder.run().join(format!("{}-{}.sock", self.program, self.pid()))
    }

    /// Sends it a signal that will end it.
    pub(super) fn signal(&mut self, signal: Signal) {
        self.signalled = Some(signal);
        // It may have ended just now, which the next look tells.
        let _ended = kill(pid_of(self.pid()), signal);
    }

    /// Whether it has ended as it should after the signal that it was sent.
    fn ended_well(&self, status: ExitStatus) -> bool {
        use std::os::unix::process::ExitStatusExt as _;
        // A daemon that does not yet handle signals is ended by them.
        match self.signalled {
            Some(signal) => status.success() || status.signal() == Some(signal as i32),
            None => false,
        }
    }
}

fn spawn(
    (name, program, arguments): (&str, &str, &[&str]),
    programs: &Programs,
    folder: &Folder,
    logged: &Arc<Logged>,
    violations: &Arc<Violations>,
) -> anyhow::Result<(Child, JoinHandle<()>)> {
    let mut command = programs.command(folder, program);
    let mut child = command.args(arguments).spawn().with_context(|| format!("cannot run {program}"))?;
    let output = child.stderr.take().context("no log")?;
    let logging =
        log::keep(output, &folder.path(&format!("logs/{name}.log")), Arc::clone(logged), Arc::clone(violations))?;
    Ok((child, logging))
}

/// All daemons of an installation.
#[derive(Debug)]
pub(super) struct System {
    /// Where they run.
    pub(super) folder: Folder,
    /// What they run.
    pub(super) programs: Programs,
    /// The scheduler, then the monitor's.
    pub(super) daemons: [Daemon; 3],
    violations: Arc<Violations>,
}

impl System {
    /// Starts all daemons, and waits until they answer.
    ///
    /// # Errors
    /// If one cannot be started, or does not answer.
    pub(super) fn start(folder: Folder, programs: Programs, violations: Arc<Violations>) -> anyhow::Result<Self> {
        let daemons = [
            Daemon::start(("scheduler", "r3e-scheduler", &[]), &programs, &folder, &violations)?,
            Daemon::start(("watch", "r3e-monitor", &["watch"]), &programs, &folder, &violations)?,
            Daemon::start(("serve", "r3e-monitor", &["serve"]), &programs, &folder, &violations)?,
        ];
        let mut system = Self { folder, programs, daemons, violations };
        for number in 0..system.daemons.len() {
            system.stats(number)?;
        }
        Ok(system)
    }

    /// Restarts the daemons that have ended. One that has not ended by a signal of the soak, or not as it should, is a loss.
    ///
    /// # Errors
    /// If one cannot be started.
    pub(super) fn supervise(&mut self) -> anyhow::Result<()> {
        for daemon in &mut self.daemons {
            let Some(status) = daemon.child.try_wait()? else { continue };
            if !daemon.ended_well(status) {
                self.violations.add(format!("{} ended with {status}, signalled {:?}", daemon.name, daemon.signalled));
            }
            let what = (daemon.name, daemon.program, daemon.arguments);
            let (child, logging) = spawn(what, &self.programs, &self.folder, &daemon.logged, &self.violations)?;
            (daemon.child, daemon.signalled) = (child, None);
            // A job of a killed scheduler may have the earlier log open for a little longer.
            daemon.logging.push(logging);
            daemon.starts += 1;
        }
        Ok(())
    }

    /// Asks a daemon, and restarts it before if it has ended.
    ///
    /// # Errors
    /// If it does not answer within [`MAX_ANSWER`].
    pub(super) fn stats(&mut self, number: usize) -> anyhow::Result<Stats> {
        self.ask(number, Endpoint::Stats)
    }

    /// Asks a daemon, and restarts it before if it has ended.
    ///
    /// # Errors
    /// If it does not answer within [`MAX_ANSWER`].
    pub(super) fn ask<T: serde::de::DeserializeOwned>(
        &mut self,
        number: usize,
        endpoint: Endpoint,
    ) -> anyhow::Result<T> {
        let begun = Instant::now();
        loop {
            self.supervise()?;
            let answer = ask(&self.daemons[number].socket(&self.folder), endpoint);
            if answer.is_ok() || begun.elapsed() > MAX_ANSWER {
                return answer.with_context(|| format!("{} does not answer", self.daemons[number].name));
            }
            std::thread::sleep(POLL);
        }
    }

    /// The job that the scheduler runs.
    #[must_use]
    pub(super) fn scheduled_job(&self) -> Option<u32> {
        children(self.daemons[0].pid()).first().copied()
    }

    /// Whether no job is at work, waits to be retried or is requested.
    ///
    /// # Errors
    /// If the scheduler does not answer.
    pub(super) fn is_idle(&mut self) -> anyhow::Result<bool> {
        if self.folder.is_triggered() {
            self.supervise()?;
            return Ok(false);
        }
        // One that has just started has no schedule yet.
        let schedule = self.stats(0)?.schedule;
        Ok(schedule.is_some_and(|it| it.attempt.is_none()) && !self.folder.is_triggered())
    }

    /// Stops all daemons in order, and reads their logs to the end.
    ///
    /// # Errors
    /// If one does not end within [`MAX_ANSWER`], or not with 0.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        for daemon in &mut self.daemons {
            daemon.signal(Signal::SIGTERM);
            let begun = Instant::now();
            let status = loop {
                if let Some(status) = daemon.child.try_wait()? {
                    break status;
                }
                ensure!(begun.elapsed() < MAX_ANSWER, "{} does not stop", daemon.name);
                std::thread::sleep(POLL);
            };
            if !status.success() {
                self.violations.add(format!("{} ended with {status} after SIGTERM", daemon.name));
            }
        }
        for logging in self.daemons.into_iter().flat_map(|it| it.logging) {
            // A panic there has been printed.
            let _panicked = logging.join();
        }
        Ok(())
    }
}

/// Whether this kernel lists children.
///
/// # Errors
/// If it does not.
pub(super) fn check_kernel() -> anyhow::Result<()> {
    let own = format!("/proc/self/task/{}/children", std::process::id());
    ensure!(Path::new(&own).exists(), "{own}: this kernel does not list children (CONFIG_PROC_CHILDREN)");
    Ok(())
}
