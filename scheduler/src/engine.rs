//! The scheduler at work: one loop that waits for whichever comes first of a signal, the end of the job, the clock and the
//! trigger file, and does what it calls for.
//!
//! It waits for the disk now and then (what is settled, the trigger file), and for nobody else; it spawns nothing but what
//! passes on the output of the one job there may be.

mod clock;
mod running;
mod trigger;

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

use crate::agenda::{Agenda, Counts, Retries, Try};
use crate::calendar::Calendar;
use crate::child::{Group, Running};
use crate::job::{Job, Programs, Reason};
use crate::reload;
use crate::settled::{self, Pending, Settled};
use crate::timetable::Timetable;
use crate::trigger::{Notice, Trigger, Wanted};

/// The clock is looked at at least this often: it may be set, and the machine may sleep.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(30);

/// How often what is not needed for waiting is given back, while there is nothing but that.
const SETTLE_DOWN: Duration = Duration::from_secs(5);

/// All that the loop works with and does not own.
pub(crate) struct Context<'a> {
    pub(crate) shutdown: &'a Shutdown,
    pub(crate) supervisor: &'a Supervisor,
    pub(crate) facts: &'a Arc<Facts>,
    pub(crate) tasks: &'a Tasks,
    pub(crate) group: &'a Group,
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
    notice: Notice,
    reaper: Reaper,
    job: Option<(Try, Running)>,
    /// What a trigger file that was taken asks for, until that is over.
    wanted: Option<Wanted>,
    /// The refresh that was due and is not over.
    pending: Option<Pending>,
    /// When the next run is due.
    next: Option<Timestamp>,
    /// What was last written of what is settled.
    saved: Option<Settled>,
    /// When to look for the trigger file again.
    look_at: Instant,
    saving: RecurringError,
    trigger_file: RecurringError,
    said: String,
}

impl<'a> Engine<'a> {
    /// A scheduler that has just started, to be called within the runtime.
    ///
    /// # Errors
    /// When what is settled is told in a newer format, or the disk or the system refuses.
    pub(crate) fn new(loaded: &Loaded, programs: Programs, context: Context<'a>) -> Result<Self, Failure> {
        let now = now(context.clock);
        let config = &loaded.config;
        let saved = settled::load(&config.cache.staging_dir)?;
        Programs::put_in_force(loaded)?;
        let settled = saved.map(|it| it.at);
        let timetable = Timetable::new(Calendar::of(&config.schedule), config.schedule.catch_up, settled, now);
        let mut agenda = Agenda::new(Retries::of(&config.schedule));
        if config.schedule.load_at_start {
            agenda.ask(Job::Load, Instant::now());
        }
        let pending = saved.and_then(|it| it.pending);
        let pending = pending.map(|it| Pending { attempt: 1, not_before: Some(now), ..it });
        if let Some(Pending { due_at, .. }) = pending {
            tracing::info!(%due_at, "resuming a due refresh that was not over when the scheduler stopped");
            agenda.ask(Job::Refresh(Reason::Due), Instant::now());
        }
        let (trigger, notice) = (Trigger::new(&config.cache.dir), Notice::new(&config.cache.dir));
        Ok(Self {
            context,
            config: config.clone(),
            programs,
            timetable,
            agenda,
            trigger,
            notice,
            reaper: Reaper::new()?,
            job: None,
            wanted: None,
            pending,
            next: None,
            saved,
            look_at: Instant::now(),
            saving: RecurringError::new(
                "cannot save the schedule; a restarted scheduler may repeat a run",
                "the schedule is saved again",
            ),
            trigger_file: RecurringError::new("cannot take the trigger file", "the trigger file can be taken again"),
            said: String::new(),
        })
    }

    /// Works until a signal asks for the end; no job is alive then.
    pub(crate) async fn run(mut self) -> Counts {
        let stop = self.context.shutdown.token().clone();
        let reload = Arc::clone(self.context.shutdown.reload());
        let watchdog = self.context.supervisor.watchdog_every();
        let (mut alive, mut settled_down) = (Instant::now(), Instant::now());
        self.look_at_clock();
        self.say_ready();
        // Frees what starting needed: from here on there is little but waiting.
        memory::give_back();
        while !stop.is_cancelled() {
            signals::reap(self.job.as_ref().map(|(_, running)| running.pid()));
            self.look_at_clock();
            self.look_at_trigger();
            self.start_next();
            self.press_job();
            self.say_what_is_done();
            if let Some(every) = watchdog
                && Instant::now() >= alive
            {
                self.context.supervisor.alive();
                alive = Instant::now() + every;
            }
            if self.job.is_none() && settled_down.elapsed() >= SETTLE_DOWN {
                memory::give_back();
                settled_down = Instant::now();
            }
            let wake = self.wake(watchdog.map(|_| alive));
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = reload.notified() => self.reload(),
                ended = running::ended(&mut self.job) => self.ended(ended).await,
                () = self.reaper.child_ended() => {}
                () = self.notice.changed() => self.look_soon(),
                () = sleep_until(wake) => {}
            }
        }
        self.stop().await;
        // What has become of the last job.
        self.save(self.saved.map_or(Timestamp::MIN, |saved| saved.at));
        self.agenda.counts
    }

    /// When the loop has to turn again, at the latest.
    fn wake(&self, alive: Option<Instant>) -> Instant {
        let now = Instant::now();
        let due = self.next.map(|next| {
            let left = next.duration_since(self::now(self.context.clock));
            now + Duration::try_from(left).unwrap_or_default()
        });
        let job = self.job.as_ref().and_then(|(_, job)| job.deadline(self.config.schedule.job_timeout));
        let idle = if self.job.is_none() { self.agenda.wake() } else { None };
        [due, job, idle, alive, Some(self.look_at)].into_iter().flatten().fold(now + LOOK_AT_CLOCK, Instant::min)
    }

    /// Takes over a configuration that has changed; one that is wrong changes nothing.
    fn reload(&mut self) {
        self.context.supervisor.reloading();
        let read = reload::read(&self.programs.arguments, &self.config).map_err(|errors| errors.to_string());
        let in_force = read.and_then(|loaded| {
            Programs::put_in_force(&loaded).map_err(|error| error.to_string())?;
            Ok(loaded.config)
        });
        match in_force {
            Ok(config) => {
                // What was due by the old one is settled by it; the new one knows of no time before it.
                self.look_at_clock();
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
                self.look_at = Instant::now();
                self.look_at_clock();
                let next = self.next.map(tracing::field::display);
                tracing::info!(next, "the configuration was read again");
            }
            Err(error) => tracing::error!("the configuration stays as it was: {error}"),
        }
        self.say_ready();
    }

    /// What is being done, in a word.
    fn phase(&self) -> &'static str {
        self.job.as_ref().map_or("waiting", |(Try { job, .. }, _)| job.phase())
    }

    /// What is being done, in a line.
    fn status(&self) -> String {
        if let Some((Try { job, attempt, .. }, running)) = &self.job {
            let line = running.last_line();
            let said = if line.is_empty() { String::new() } else { format!(": {line}") };
            let attempt = if *attempt > 1 { format!(", try {attempt}") } else { String::new() };
            return format!("{job}, pid {}{attempt}{said}", running.pid());
        }
        let Counts { started, failed } = self.agenda.counts;
        let again =
            self.agenda.again().map_or_else(String::new, |it| format!(", {} before try {}", it.job, it.attempt));
        let next = self.next.map_or_else(|| "no run is due".to_owned(), |next| format!("next run at {next}"));
        format!("waiting{again}, {next}; {started} jobs started, {failed} failed")
    }

    fn say_ready(&mut self) {
        self.said = self.status();
        self.context.supervisor.ready(&self.said);
        self.report();
    }

    fn say_what_is_done(&mut self) {
        let status = self.status();
        if status != self.said {
            self.context.supervisor.status(&status);
            self.said = status;
            self.report();
        }
    }

    /// Tells the control socket what is being done.
    fn report(&self) {
        let attempt = self.job.as_ref().map(|(tried, _)| tried.attempt);
        self.context.facts.set_phase(self.phase());
        self.context.facts.set_schedule(ScheduleFigures {
            next_run_at: self.next.map(|next| next.to_string()),
            attempt: attempt.or(self.agenda.again().map(|it| it.attempt)),
            jobs_started: self.agenda.counts.started,
            jobs_failed: self.agenda.counts.failed,
        });
    }
}

fn now(clock: fn() -> SystemTime) -> Timestamp {
    // A clock outside the years -9999 to 9999 is none.
    Timestamp::try_from(clock()).unwrap_or(Timestamp::UNIX_EPOCH)
}
