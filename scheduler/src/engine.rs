//! The scheduler at work: one loop that waits for whichever comes first of a signal, the end of the job, the clock and the
//! trigger file, and does what it calls for.
//!
//! Nothing here blocks and nothing is spawned but what passes on the output of the one job there may be.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use nix::sys::signal::Signal;
use r3e_common::pipeline::Tasks;
use r3e_common::process::config::Config;
use r3e_common::process::control::Facts;
use r3e_common::process::memory;
use r3e_common::process::notify::Supervisor;
use r3e_common::process::shutdown::Shutdown;
use std::process::ExitStatus;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};

use crate::agenda::{Agenda, Counts, Ending, Start, Tries, told};
use crate::calendar::Calendar;
use crate::child::{Group, Running};
use crate::job::{Job, Programs, Why};
use crate::reload;
use crate::settled::{self, SettledError};
use crate::timetable::{Due, Look, Timetable};
use crate::trigger::{Found, Notice, Trigger, Wanted};

/// The clock is looked at at least this often: it may be set, and the machine may sleep.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(30);

/// How long a trigger file has to stay the same before it is taken.
const SETTLING: Duration = Duration::from_millis(300);

/// How often what is not needed for waiting is given back, while there is nothing but that.
const SETTLE_DOWN: Duration = Duration::from_secs(5);

/// How long an error of looking for the trigger file is not told again.
const QUIET: Duration = Duration::from_hours(1);

/// All that the loop works with and does not own.
pub(crate) struct Around<'a> {
    pub(crate) shutdown: &'a Shutdown,
    pub(crate) supervisor: &'a Supervisor,
    pub(crate) facts: &'a Arc<Facts>,
    pub(crate) tasks: &'a Tasks,
    pub(crate) group: &'a Group,
    pub(crate) clock: fn() -> SystemTime,
}

/// The scheduler's state.
pub(crate) struct Engine<'a> {
    around: Around<'a>,
    config: Config,
    programs: Programs,
    timetable: Timetable,
    agenda: Agenda,
    trigger: Trigger,
    notice: Notice,
    job: Option<(Start, Running)>,
    next: Option<Timestamp>,
    /// What was last written of what is settled.
    saved: Option<Timestamp>,
    /// When to look for the trigger file again.
    look_at: Instant,
    quiet_until: Option<Instant>,
    said: String,
}

impl<'a> Engine<'a> {
    /// A scheduler that has just started, to be called within the runtime.
    ///
    /// # Errors
    /// When what is settled is told in a newer format, or cannot be read.
    pub(crate) fn new(config: Config, programs: Programs, around: Around<'a>) -> Result<Self, SettledError> {
        let now = now(around.clock);
        let settled = settled::load(&config.cache.staging_dir)?;
        let timetable = Timetable::new(Calendar::of(&config.schedule), config.schedule.catch_up, settled, now);
        let mut agenda = Agenda::new(Tries::of(&config.schedule));
        if config.schedule.load_at_start {
            agenda.ask(Job::Load);
        }
        let (trigger, notice) = (Trigger::new(&config.cache.dir), Notice::new(&config.cache.dir));
        Ok(Self {
            around,
            config,
            programs,
            timetable,
            agenda,
            trigger,
            notice,
            job: None,
            next: None,
            saved: settled,
            look_at: Instant::now(),
            quiet_until: None,
            said: String::new(),
        })
    }

    /// Works until a signal asks for the end; no job is alive then.
    pub(crate) async fn run(mut self) -> Counts {
        let stop = self.around.shutdown.token().clone();
        let reload = Arc::clone(self.around.shutdown.reload());
        let mut alive = Instant::now();
        self.look_at_clock();
        self.say_ready();
        let mut settled_down = Instant::now();
        settle_down();
        while !stop.is_cancelled() {
            self.look_at_clock();
            self.look_at_trigger();
            self.start_next();
            self.say_what_is_done();
            if let Some(every) = self.around.supervisor.watchdog_every()
                && Instant::now() >= alive
            {
                self.around.supervisor.alive();
                alive = Instant::now() + every;
            }
            if self.job.is_none() && settled_down.elapsed() >= SETTLE_DOWN {
                settle_down();
                settled_down = Instant::now();
            }
            let wake = self.wake(self.around.supervisor.watchdog_every().map(|_| alive));
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = reload.notified() => self.reload(),
                ended = ended(&mut self.job) => self.ended(ended).await,
                () = self.notice.changed() => self.look_at = Instant::now() + SETTLING,
                () = sleep_until(wake) => self.press_job(),
            }
        }
        self.stop().await;
        self.agenda.counts
    }

    /// When the loop has to turn again, at the latest.
    fn wake(&self, alive: Option<Instant>) -> Instant {
        let now = Instant::now();
        let due = self.next.map(|next| {
            let left = next.duration_since(self::now(self.around.clock));
            now + Duration::try_from(left).unwrap_or_default()
        });
        let job = self.job.as_ref().and_then(|(_, job)| job.deadline(self.config.schedule.job_timeout));
        let idle = if self.job.is_none() { self.agenda.wake() } else { None };
        [due, job, idle, alive, Some(self.look_at)].into_iter().flatten().fold(now + LOOK_AT_CLOCK, Instant::min)
    }

    /// Starts what is due, or says why not.
    fn look_at_clock(&mut self) {
        let Look { due, next } = self.timetable.look(now(self.around.clock));
        self.next = next;
        if let Some(due) = due {
            self.due(&due);
        }
        let settled = self.timetable.settled();
        if self.saved != Some(settled) {
            if let Err(error) = settled::save(&self.config.cache.staging_dir, settled) {
                tracing::warn!(%error, "a scheduler that is started anew may not know of this run");
            }
            self.saved = Some(settled);
        }
    }

    fn due(&mut self, due: &Due) {
        let Due { at, late, what, further } = *due;
        let late = humantime::format_duration(Duration::from_secs(late.as_secs()));
        if !what.starts() {
            tracing::warn!(%at, %late, further, "a run was missed, and is not made up for: schedule.catch_up is off");
            return;
        }
        if what.is_missed() {
            tracing::warn!(%at, %late, further, "a run was missed: it is made up for");
        }
        let why = if what.is_missed() { Why::Missed } else { Why::Due };
        if !self.agenda.due(why, self.job.is_some()) {
            let doing = self.job.as_ref().map_or_else(String::new, |(Start { job, .. }, _)| job.to_string());
            tracing::warn!(%at, skipped = self.agenda.counts.skipped, "a run is skipped: a {doing} is at work");
        }
    }

    /// Takes the trigger file, if there is one and nothing that an earlier one asked for is waiting or at work.
    fn look_at_trigger(&mut self) {
        let now = Instant::now();
        if now < self.look_at {
            return;
        }
        self.look_at = now + self.config.schedule.trigger_poll;
        self.notice.renew();
        if self.job.is_some() || self.agenda.has_triggered() {
            return;
        }
        match self.trigger.look() {
            Ok(Found::Nothing) => {}
            Ok(Found::Settling) => self.look_at = now + SETTLING,
            Ok(Found::Taken(wanted)) => {
                let job = if wanted == Wanted::Everything { Job::Refresh(Why::Trigger) } else { Job::Boards };
                tracing::info!("the trigger file asks for a {job}");
                self.agenda.ask(job);
            }
            Err(error) => self.say_once(&error),
        }
    }

    fn say_once(&mut self, error: &dyn std::fmt::Display) {
        let now = Instant::now();
        if self.quiet_until.is_none_or(|until| until <= now) {
            tracing::warn!(%error, "the trigger file cannot be looked at; told again in an hour if it stays so");
            self.quiet_until = Some(now + QUIET);
        }
    }

    fn start_next(&mut self) {
        while self.job.is_none() {
            let Some(start) = self.agenda.start(Instant::now()) else { return };
            let Start { job, attempt } = start;
            let command = self.programs.command(job, &self.config, &self.trigger.taken());
            let (group, tasks) = (self.around.group, self.around.tasks);
            match Running::start(command, job.program(), self.config.log.format, group, tasks) {
                Ok(running) => {
                    tracing::info!(program = job.program(), pid = running.pid(), attempt, "starting a {job}");
                    self.job = Some((start, running));
                }
                Err(error) => {
                    tracing::error!(program = job.program(), attempt, %error, "cannot start a {job}");
                    self.settle(start, Ending::Failed);
                }
            }
        }
    }

    /// The job has ended by itself, or because it was pressed to.
    async fn ended(&mut self, status: std::io::Result<ExitStatus>) {
        let Some((start, running)) = self.job.take() else { return };
        let timed_out = running.was_pressed();
        let seconds = running.begun().elapsed().as_secs_f64();
        let pid = running.pid();
        running.close().await;
        let (ending, how) = match status {
            Ok(status) => (Ending::of(status, timed_out), told(status)),
            Err(error) => (Ending::Failed, format!("how it ended cannot be told: {error}")),
        };
        let (job, attempt) = (start.job, start.attempt);
        if ending == Ending::Done {
            tracing::info!(pid, seconds, "the {job} has ended: {how}");
        } else {
            tracing::error!(pid, seconds, attempt, "the {job} has ended: {how}");
        }
        self.settle(start, ending);
    }

    /// Draws the consequences of how a job has ended.
    fn settle(&mut self, start: Start, ending: Ending) {
        let job = start.job;
        let again = self.agenda.ended(start, ending, Instant::now(), fastrand::f64());
        match (again, ending) {
            (Some(pause), _) => {
                let pause =
                    humantime::format_duration(Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(0)));
                tracing::info!(%pause, attempt = start.attempt + 1, of = self.config.schedule.attempts, "the {job} is tried again");
            }
            (None, Ending::Failed) => tracing::error!(attempts = start.attempt, "the {job} is given up"),
            (None, Ending::Hopeless) => tracing::error!("the {job} is not tried again: it would fail the same way"),
            (None, Ending::Done | Ending::StoppedByOthers) => {}
        }
        if again.is_none() && job.is_triggered() {
            match self.trigger.done() {
                Ok(false) => {}
                Ok(true) => tracing::info!("the trigger file was added to meanwhile"),
                Err(error) => self.say_once(&error),
            }
        }
        // What was asked for meanwhile was kept.
        self.look_at = Instant::now();
        settle_down();
    }

    /// Has a job that takes too long end: first asked to, then killed.
    fn press_job(&mut self) {
        let (timeout, grace) = (self.config.schedule.job_timeout, self.config.runtime.stop_grace);
        let Some((Start { job, .. }, running)) = &mut self.job else { return };
        if running.deadline(timeout).is_none_or(|it| it > Instant::now()) {
            return;
        }
        let pid = running.pid();
        if running.was_pressed() {
            tracing::error!(pid, "the {job} has not stopped in time: it is killed");
        } else {
            tracing::error!(pid, job_timeout = %humantime::format_duration(timeout), "the {job} takes too long: it is stopped");
        }
        running.press(grace);
    }

    /// Takes over a configuration that has changed; one that is wrong changes nothing.
    fn reload(&mut self) {
        self.around.supervisor.reloading();
        match reload::read(&self.programs.arguments, &self.config) {
            Ok(config) => {
                let settled = self.timetable.settled();
                let now = now(self.around.clock);
                self.timetable =
                    Timetable::new(Calendar::of(&config.schedule), config.schedule.catch_up, Some(settled), now);
                self.agenda.tries = Tries::of(&config.schedule);
                self.config = config;
                self.look_at = Instant::now();
                tracing::info!("the configuration was read again");
            }
            Err(errors) => tracing::error!("the configuration stays as it was: {errors}"),
        }
        self.look_at_clock();
        self.say_ready();
    }

    /// Ends the job, if one is at work: asked with the signal that asked us, killed when its time is over.
    async fn stop(&mut self) {
        let Some((Start { job, .. }, mut running)) = self.job.take() else { return };
        self.around.supervisor.stopping(&format!("stopping the {job}"));
        let signal = self.around.shutdown.signal().and_then(|it| Signal::try_from(it).ok()).unwrap_or(Signal::SIGTERM);
        let haste = self.around.shutdown.haste().cancelled();
        match running.end(signal, self.config.runtime.stop_grace, haste).await {
            Some(Ok(status)) => tracing::info!(pid = running.pid(), "the {job} has ended: {}", told(status)),
            Some(Err(error)) => tracing::error!(pid = running.pid(), %error, "how the {job} ended cannot be told"),
            None => tracing::error!(pid = running.pid(), "the {job} was killed, and the kernel has not ended it yet"),
        }
        running.close().await;
    }

    /// What is being done, in a line.
    fn status(&self) -> String {
        if let Some((Start { job, .. }, running)) = &self.job {
            let line = running.last_line();
            let said = if line.is_empty() { String::new() } else { format!(": {line}") };
            return format!("{job}, pid {}{said}", running.pid());
        }
        let Counts { started, failed, skipped } = self.agenda.counts;
        let next = self.next.map_or_else(|| "no run is due".to_owned(), |next| format!("next run at {next}"));
        format!("waiting, {next}; {started} jobs started, {failed} failed, {skipped} skipped")
    }

    fn say_ready(&mut self) {
        self.said = self.status();
        self.around.supervisor.ready(&self.said);
        self.around.facts.set_phase(self.said.clone());
    }

    fn say_what_is_done(&mut self) {
        let status = self.status();
        if status != self.said {
            self.around.supervisor.status(&status);
            self.around.facts.set_phase(status.clone());
            self.said = status;
        }
    }
}

/// Waits for the end of the job; for ever where there is none.
async fn ended(job: &mut Option<(Start, Running)>) -> std::io::Result<ExitStatus> {
    match job {
        Some((_, running)) => running.wait().await,
        None => std::future::pending().await,
    }
}

/// Gives back what starting, and starting a job, needed: from here on there is little but waiting. Takes a millisecond or two in
/// a process as small as this one.
fn settle_down() {
    memory::give_back();
    if let Err(error) = memory::let_go_of_code() {
        tracing::debug!(%error, "code that is not needed stays in memory");
    }
}

fn now(clock: fn() -> SystemTime) -> Timestamp {
    // A clock outside the years -9999 to 9999 is none.
    Timestamp::try_from(clock()).unwrap_or(Timestamp::UNIX_EPOCH)
}
