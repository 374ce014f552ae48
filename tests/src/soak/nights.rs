//! Runs the nights: boards change, a job is started in one of the ways users have, and runs to its end.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use r3e_common::domain::Combination;
use r3e_common::runtime::exit::Exit;
use r3e_common::runtime::run_record::RunRecord;

use super::log::{self, Logged};
use super::signals::{self, Signalled, Target};
use super::system::{POLL, System};
use super::violations::Violations;
use crate::harness::pid_of;
use crate::sim::Simulator;

/// How long a night may take.
const MAX_NIGHT: Duration = Duration::from_mins(3);

/// How a job ends that has done what it could.
const ALLOWED: [Exit; 3] = [Exit::Done, Exit::SomeBoardsFailed, Exit::Unavailable];

/// How else a program ends after a signal.
const STOPPED: [Exit; 2] = [Exit::Interrupted, Exit::Terminated];

/// How a job is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Job {
    /// A full refresh, by the trigger file.
    Full,
    /// A refresh of some boards, by the trigger file.
    Boards(Vec<Combination>),
    /// The loader, by hand: of these boards, or of all if there are none.
    Load(Vec<Combination>),
    /// An incremental refresh of this many boards, by hand.
    Incremental(usize),
}

impl Job {
    /// Its name in the table.
    #[must_use]
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Boards(_) => "boards",
            Self::Load(_) => "load",
            Self::Incremental(_) => "incremental",
        }
    }
}

/// What happened in a night.
#[derive(Debug)]
pub(super) struct Night {
    /// The job.
    pub(super) job: Job,
    /// Boards that have changed before it.
    pub(super) changed: usize,
    /// How many signals have been sent since the first night.
    pub(super) signals: u64,
    /// How long it took.
    pub(super) took: Duration,
}

/// Draws nights from the seed, and lets them happen.
#[derive(Debug)]
pub(super) struct Nights<'a> {
    sim: &'a Simulator,
    boards: Vec<Combination>,
    random: fastrand::Rng,
    violations: Arc<Violations>,
    /// What jobs by hand have logged.
    logged: Arc<Logged>,
    /// Signals that were sent to jobs, and to daemons.
    pub(super) signals: [u64; 2],
    /// Jobs that were started by hand, and jobs that were killed, which leave no record.
    pub(super) by_hand: u64,
    pub(super) killed: u64,
    /// How long a night takes, for the moments of signals.
    usual: Duration,
}

impl<'a> Nights<'a> {
    /// Nights of this world.
    #[must_use]
    pub(super) fn new(sim: &'a Simulator, seed: u64, violations: Arc<Violations>) -> Self {
        Self {
            sim,
            boards: sim.world().catalog().combinations().collect(),
            random: fastrand::Rng::with_seed(seed),
            violations,
            logged: Arc::default(),
            signals: [0; 2],
            by_hand: 0,
            killed: 0,
            usual: Duration::from_secs(1),
        }
    }

    /// Lets a night happen, in which daemons may be struck too; when this returns, no job is at work.
    ///
    /// # Errors
    /// If a program cannot be started, or a job does not end.
    pub(super) fn next(&mut self, system: &mut System, with_daemons: bool) -> anyhow::Result<Night> {
        let changed = self.random.usize(0..=self.boards.len() / 2);
        for board in self.draw(changed) {
            self.sim.change_board(board)?;
        }
        let job = match self.random.u8(0..100) {
            0..30 => Job::Full,
            30..40 => Job::Load(Vec::new()),
            40..60 => Job::Load(self.draw_some()),
            60..80 => Job::Boards(self.draw_some()),
            _ => Job::Incremental(self.random.usize(1..=self.boards.len())),
        };
        let signals = signals::draw(&mut self.random, with_daemons, self.usual);
        let begun = Instant::now();
        let signals = self.run(system, &job, signals)?;
        let took = begun.elapsed();
        for it in &signals {
            self.signals[usize::from(it.target != Target::Job)] += 1;
            self.killed += u64::from(it.target == Target::Job && it.signal == Signal::SIGKILL);
        }
        if signals.is_empty() {
            self.usual = (self.usual * 4 + took) / 5;
        }
        let signals = self.signals.iter().sum();
        Ok(Night { job, changed, signals, took })
    }

    fn draw_some(&mut self) -> Vec<Combination> {
        let count = self.random.usize(1..=self.boards.len());
        self.draw(count)
    }

    fn draw(&mut self, count: usize) -> Vec<Combination> {
        self.random.choose_multiple(self.boards.iter().copied(), count)
    }

    /// Runs a job to its end, and sends the signals. Returns those that have hit a process.
    fn run(&mut self, system: &mut System, job: &Job, signals: Vec<Signalled>) -> anyhow::Result<Vec<Signalled>> {
        let mut by_hand = self.ask_for(system, job)?;
        let begun = Instant::now();
        let (mut sent, mut waiting, mut was_signalled) = (Vec::new(), signals.into_iter().peekable(), false);
        loop {
            system.supervise()?;
            while let Some(signal) = waiting.next_if(|it| begun.elapsed() >= it.after) {
                let job = by_hand.as_ref().map(|(child, _)| child.id()).or_else(|| system.scheduled_job());
                match (signal.target, job) {
                    (Target::Daemon(number), _) => system.daemons[number].signal(signal.signal),
                    (Target::Job, Some(job)) => {
                        was_signalled = true;
                        // It may have ended just now.
                        let _ended = kill(pid_of(job), signal.signal);
                    }
                    (Target::Job, None) => continue,
                }
                sent.push(signal);
            }
            if let Some((child, _)) = &mut by_hand
                && let Some(status) = child.try_wait()?
            {
                self.check(job, status, was_signalled);
                // A panic there has been printed.
                let _panicked = by_hand.take().map(|(_, logging)| logging.join());
            }
            if by_hand.is_none() && waiting.peek().is_none() && system.is_idle()? {
                return Ok(sent);
            }
            ensure!(begun.elapsed() < MAX_NIGHT, "the {} job does not end", job.name());
            std::thread::sleep(POLL);
        }
    }

    /// Returns the process of a job that is started by hand, and the thread that reads its log.
    fn ask_for(&mut self, system: &System, job: &Job) -> anyhow::Result<Option<(Child, JoinHandle<()>)>> {
        let (program, arguments) = match job {
            Job::Full => {
                system.folder.trigger("")?;
                return Ok(None);
            }
            Job::Boards(boards) => {
                system.folder.trigger(&names(boards, " "))?;
                return Ok(None);
            }
            Job::Load(boards) if boards.is_empty() => ("r3e-loader", vec![]),
            Job::Load(boards) => ("r3e-loader", vec![format!("--only={}", names(boards, ","))]),
            Job::Incremental(limit) => ("r3e-refresher", vec!["incremental".to_owned(), format!("--limit={limit}")]),
        };
        let mut command = system.programs.command(&system.folder, program);
        // A scheduled job may be at work.
        let mut child = command.arg("--wait=1m").args(arguments).spawn().with_context(|| program.to_owned())?;
        let output = child.stderr.take().context("no log")?;
        let path = system.folder.path("logs/by-hand.log");
        let logging = log::keep(output, &path, Arc::clone(&self.logged), Arc::clone(&self.violations))?;
        self.by_hand += 1;
        Ok(Some((child, logging)))
    }

    fn check(&self, job: &Job, status: ExitStatus, was_signalled: bool) {
        let is_good = match status.code() {
            Some(code) => {
                let exit = u8::try_from(code).ok().and_then(Exit::from_code);
                exit.is_some_and(|it| ALLOWED.contains(&it) || was_signalled && STOPPED.contains(&it))
            }
            None => {
                was_signalled && [Signal::SIGTERM, Signal::SIGKILL].map(|it| Some(it as i32)).contains(&status.signal())
            }
        };
        if !is_good {
            self.violations.add(format!("the {} job ended with {status}, signalled: {was_signalled}", job.name()));
        }
    }
}

/// Adds a loss if a run, whoever has started it, has ended as none should.
pub(super) fn check_record(record: &RunRecord, violations: &Violations) {
    let exit = Exit::from_code(record.exit_code);
    if !exit.is_some_and(|it| ALLOWED.contains(&it) || STOPPED.contains(&it)) {
        let RunRecord { program, doing, exit_code, outcome, .. } = record;
        violations.add(format!("{program} ({doing}) ended with {exit_code}: {outcome}"));
    }
}

fn names(boards: &[Combination], between: &str) -> String {
    boards.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}
