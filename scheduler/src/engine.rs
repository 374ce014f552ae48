//! The running scheduler: one loop that waits for a signal, the end of the job or command, the clock or the trigger file, whichever
//! comes first, and handles it.
//!
//! It blocks on nothing but the disk. The only tasks it spawns pass on the output of the job or command.

mod after;
mod clock;
mod running;
mod trigger;
mod work;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use r3e_common::runtime::config::{Config, Loaded};
use r3e_common::runtime::control::{Facts, ScheduleFigures};
use r3e_common::runtime::exit::Failure;
use r3e_common::runtime::logging::RecurringError;
use r3e_common::runtime::memory;
use r3e_common::runtime::notify::Supervisor;
use r3e_common::runtime::shutdown::Shutdown;
use r3e_common::runtime::signals::{self, Reaper};
use r3e_common::runtime::tasks::Tasks;
use tokio::time::{Instant, sleep_until};

use crate::agenda::{Agenda, Counts, Retries};
use crate::calendar::Calendar;
use crate::child::{ProcessGroup, Running};
use crate::job::{Job, Programs, Reason};
use crate::reload;
use crate::saved_state::{self, Pending, SavedState};
use crate::timetable::Timetable;
use crate::trigger::{FolderWatch, Request, Trigger};

use work::{Command, Work};

/// The clock is checked at least this often, since it may be set, and the machine may sleep.
const CHECK_CLOCK: Duration = Duration::from_secs(30);

/// How often an idle scheduler returns freed memory to the kernel.
const PURGE_WHEN_IDLE: Duration = Duration::from_secs(5);

/// What the loop uses and does not own.
pub(crate) struct Context<'a> {
    pub(crate) shutdown: &'a Shutdown,
    pub(crate) supervisor: &'a Supervisor,
    pub(crate) facts: &'a Arc<Facts>,
    pub(crate) tasks: &'a Tasks,
    pub(crate) group: &'a ProcessGroup,
    pub(crate) clock: fn() -> SystemTime,
}

/// The scheduler's state.
pub(crate) struct Engine<'a> {
    context: Context<'a>,
    config: Config,
    programs: Programs,
    timetable: Timetable,
    agenda: Agenda,
    trigger: Trigger,
    folder_watch: FolderWatch,
    reaper: Reaper,
    child: Option<(Work, Running)>,
    /// The commands to run before the next job.
    commands: VecDeque<Command>,
    /// What the taken trigger file requests, until that is done.
    request: Option<Request>,
    /// The due refresh that is not finished.
    pending: Option<Pending>,
    /// When the next run is due.
    next: Option<Timestamp>,
    /// The state as last saved.
    saved: Option<SavedState>,
    /// When to look for the trigger file again.
    check_trigger_at: Instant,
    saving: RecurringError,
    trigger_file: RecurringError,
    last_status: String,
}

impl<'a> Engine<'a> {
    /// Prepares the loop. Call this within the runtime.
    ///
    /// # Errors
    /// If the saved state has a newer format, or the disk or the system fails.
    pub(crate) fn new(loaded: &Loaded, programs: Programs, context: Context<'a>) -> Result<Self, Failure> {
        let now = now(context.clock);
        let config = &loaded.config;
        let saved = saved_state::load(&config.cache.staging_dir)?;
        Programs::write_configuration(loaded)?;
        let settled = saved.map(|it| it.settled_at);
        let timetable = Timetable::new(Calendar::of(&config.schedule), config.schedule.catch_up, settled, now);
        let mut agenda = Agenda::new(Retries::of(&config.schedule));
        if config.schedule.load_at_start {
            agenda.add(Job::Load, Instant::now());
        }
        let pending = saved.and_then(|it| it.pending);
        let pending = pending.map(|it| Pending { attempt: 1, not_before: Some(now), ..it });
        if let Some(Pending { due_at, .. }) = pending {
            tracing::info!(%due_at, "resuming a due refresh that was unfinished when the scheduler stopped");
            agenda.add(Job::Refresh(Reason::Due), Instant::now());
        }
        let (trigger, folder_watch) = (Trigger::new(&config.cache.dir), FolderWatch::new(&config.cache.dir));
        Ok(Self {
            context,
            config: config.clone(),
            programs,
            timetable,
            agenda,
            trigger,
            folder_watch,
            reaper: Reaper::new()?,
            child: None,
            commands: VecDeque::new(),
            request: None,
            pending,
            next: None,
            saved,
            check_trigger_at: Instant::now(),
            saving: RecurringError::new(
                "cannot save the schedule; a restarted scheduler may repeat a run",
                "the schedule is saved again",
            ),
            trigger_file: RecurringError::new("cannot take the trigger file", "the trigger file can be taken again"),
            last_status: String::new(),
        })
    }

    /// Runs until a signal stops it. No job or command is alive afterwards.
    pub(crate) async fn run(mut self) -> Counts {
        let stop = self.context.shutdown.token().clone();
        let reload = Arc::clone(self.context.shutdown.reload());
        let watchdog = self.context.supervisor.watchdog_every();
        let (mut alive, mut purged_at) = (Instant::now(), Instant::now());
        self.check_clock();
        self.report_ready();
        // From here on the scheduler mostly waits.
        memory::purge_or_log();
        while !stop.is_cancelled() {
            signals::reap(self.child.as_ref().map(|(_, running)| running.pid()));
            self.check_clock();
            self.check_trigger();
            self.start_next();
            self.stop_overdue_child();
            self.report_status();
            if let Some(every) = watchdog
                && Instant::now() >= alive
            {
                self.context.supervisor.alive();
                alive = Instant::now() + every;
            }
            if self.child.is_none() && purged_at.elapsed() >= PURGE_WHEN_IDLE {
                memory::purge_or_log();
                purged_at = Instant::now();
            }
            let wake = self.wake(watchdog.map(|_| alive));
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = reload.notified() => self.reload(),
                ended = running::ended(&mut self.child) => self.ended(ended).await,
                () = self.reaper.child_ended() => {}
                () = self.folder_watch.changed() => self.check_trigger_soon(),
                () = sleep_until(wake) => {}
            }
        }
        self.stop().await;
        // The result of the last job.
        self.save(self.saved.map_or(Timestamp::MIN, |saved| saved.settled_at));
        self.agenda.counts
    }

    /// When the loop must run again.
    fn wake(&self, alive: Option<Instant>) -> Instant {
        let now = Instant::now();
        let due = self.next.map(|next| {
            let left = next.duration_since(self::now(self.context.clock));
            now + Duration::try_from(left).unwrap_or_default()
        });
        let child = self.child.as_ref().and_then(|(_, it)| it.deadline(self.config.schedule.job_timeout));
        let idle = if self.child.is_none() { self.agenda.wake() } else { None };
        [due, child, idle, alive, Some(self.check_trigger_at)]
            .into_iter()
            .flatten()
            .fold(now + CHECK_CLOCK, Instant::min)
    }

    /// Reloads the configuration. An invalid one is logged and changes nothing.
    fn reload(&mut self) {
        self.context.supervisor.reloading();
        let read = reload::read(&self.programs.arguments, &self.config).map_err(|errors| errors.to_string());
        let reloaded = read.and_then(|loaded| {
            Programs::write_configuration(&loaded).map_err(|error| error.to_string())?;
            Ok(loaded.config)
        });
        match reloaded {
            Ok(config) => {
                // Handles what is due by the old calendar; the new one applies from now on.
                self.check_clock();
                let now = now(self.context.clock);
                let settled = self.timetable.settled().max(now);
                let calendar = Calendar::of(&config.schedule);
                self.timetable = Timetable::new(calendar, config.schedule.catch_up, Some(settled), now);
                if !config.schedule.load_at_start {
                    self.agenda.drop(Job::Load);
                }
                self.agenda.reloaded(Retries::of(&config.schedule), Instant::now());
                if let Some(pending) =
                    self.pending.as_mut().filter(|_| self.agenda.waiting(Job::Refresh(Reason::Due)).is_some())
                {
                    pending.not_before = Some(now);
                }
                self.config = config;
                self.check_trigger_at = Instant::now();
                self.check_clock();
                let next = self.next.map(tracing::field::display);
                tracing::info!(next, "configuration reloaded");
            }
            Err(error) => tracing::error!(%error, "cannot reload the configuration; keeping the old one"),
        }
        self.report_ready();
    }

    /// The current phase, in a word.
    fn phase(&self) -> &'static str {
        match &self.child {
            Some((Work::Job { attempt, .. }, _)) => attempt.job.phase(),
            Some((Work::Command { .. }, _)) => "command",
            None => "waiting",
        }
    }

    /// The current status, in a line.
    fn status(&self) -> String {
        if let Some((work, running)) = &self.child {
            let line = running.last_line();
            let line = if line.is_empty() { line } else { format!(": {line}") };
            let number = work.attempt().map_or(1, |it| it.number);
            let attempt = if number > 1 { format!(", attempt {number}") } else { String::new() };
            return format!("{work}, pid {}{attempt}{line}", running.pid());
        }
        let Counts { started, failed, commands_failed } = self.agenda.counts;
        let commands = if commands_failed > 0 { format!(", {commands_failed} commands failed") } else { String::new() };
        let retry = self
            .agenda
            .next_retry()
            .map_or_else(String::new, |it| format!(", {} before attempt {}", it.job, it.number));
        let next = self.next.map_or_else(|| "no run is due".to_owned(), |next| format!("next run at {next}"));
        format!("waiting{retry}, {next}; {started} jobs started, {failed} failed{commands}")
    }

    fn report_ready(&mut self) {
        self.last_status = self.status();
        self.context.supervisor.ready(&self.last_status);
        self.report();
    }

    fn report_status(&mut self) {
        let status = self.status();
        if status != self.last_status {
            self.context.supervisor.status(&status);
            self.last_status = status;
            self.report();
        }
    }

    /// Reports to the control socket.
    fn report(&self) {
        let attempt = self.child.as_ref().and_then(|(work, _)| work.attempt()).map(|it| it.number);
        self.context.facts.set_phase(self.phase());
        self.context.facts.set_schedule(ScheduleFigures {
            next_run_at: self.next.map(|next| next.to_string()),
            attempt: attempt.or(self.agenda.next_retry().map(|it| it.number)),
            jobs_started: self.agenda.counts.started,
            jobs_failed: self.agenda.counts.failed,
            commands_failed: self.agenda.counts.commands_failed,
        });
    }
}

fn now(clock: fn() -> SystemTime) -> Timestamp {
    // A clock outside the years -9999 to 9999 is unusable.
    Timestamp::try_from(clock()).unwrap_or(Timestamp::UNIX_EPOCH)
}
