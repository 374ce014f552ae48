//! A simulated year of jobs with all lengths and outcomes: each day's refresh has a known fate.

use std::collections::BTreeMap;

use jiff::civil::{Date, date, time};
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::calendar::{Calendar, Zone};
use crate::timetable::Timetable;

const MINUTE: Duration = Duration::from_mins(1);

/// As `schedule.job_timeout` is by default.
const LONGEST: u64 = 12 * 60;

/// The result of a day's refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It was done by a refresh that began when it was due or later.
    Done,
    /// Done by a full refresh that was running when it was due.
    DoneByAnother,
    /// It failed until the next one was due.
    Superseded,
    /// It failed `schedule.attempts` times in ways that waiting may not fix.
    GivenUp,
}

/// A scheduler without processes and files.
struct World {
    random: fastrand::Rng,
    timetable: Timetable,
    agenda: Agenda,
    running: Option<(Attempt, Instant, Outcome)>,
    /// The day whose refresh is unfinished, and its fate if the refresh succeeds.
    pending: Option<(Date, Fate)>,
    fates: BTreeMap<Date, Fate>,
}

impl World {
    fn over(&mut self, fate: Option<Fate>) {
        if let Some((day, done)) = self.pending.take() {
            assert_eq!(self.fates.insert(day, fate.unwrap_or(done)), None, "{day}");
        }
    }

    fn due(&mut self, day: Date, now: Instant) {
        let running = self.running.map(|(attempt, ..)| attempt.job);
        let waiting = self.agenda.waiting(Job::Refresh(Reason::Due));
        if self.agenda.due(Reason::Due, running, now) {
            assert!(self.pending.is_none() || waiting.is_some_and(|it| it.number > 1), "{day} {:?}", self.pending);
            self.over(Some(Fate::Superseded));
            self.pending = Some((day, Fate::Done));
        } else {
            // The running refresh does the work of both.
            self.over(Some(Fate::Superseded));
            self.pending = Some((day, Fate::DoneByAnother));
        }
    }

    fn step(&mut self, now: Instant) {
        if let Some((attempt, until, outcome)) = self.running
            && until <= now
        {
            self.running = None;
            let next = self.agenda.ended(attempt, outcome, now, self.random.f64());
            if matches!(attempt.job, Job::Refresh(_)) {
                match next {
                    Next::Finished => self.over(None),
                    Next::GiveUp => self.over(Some(Fate::GivenUp)),
                    _ => assert!(self.agenda.waiting(attempt.job).is_some(), "{next:?}"),
                }
            }
        }
        // Now and then a trigger file requests some boards, or all.
        let asked = self.random.u32(0..3000);
        if self.running.is_none() && asked < 4 {
            self.agenda.add(if asked == 0 { Job::Refresh(Reason::Trigger) } else { Job::Boards }, now);
        }
        if self.running.is_none()
            && let Some(attempt) = self.agenda.start(now)
        {
            let length = MINUTE * u32::try_from(self.random.u64(1..=LONGEST)).unwrap();
            let outcome = match self.random.u32(0..10) {
                0 => Outcome::Fault,
                1..4 => Outcome::Transient,
                _ => Outcome::Done,
            };
            self.running = Some((attempt, now + length, outcome));
        }
    }
}

#[test]
fn each_day_has_one_refresh_or_a_reason_why_not() {
    let mut counts = BTreeMap::new();
    for seed in 0..8 {
        let zone = Zone::of_world("Europe/Berlin");
        let calendar = Calendar::new(zone.clone(), time(4, 0, 0, 0), &[]);
        let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let retries = Retries { attempts: 3, min: MINUTE, max: 30 * MINUTE };
        let mut world = World {
            random: fastrand::Rng::with_seed(seed),
            timetable: Timetable::new(calendar, true, None, begin),
            agenda: Agenda::new(retries),
            running: None,
            pending: None,
            fates: BTreeMap::new(),
        };
        let (mut clock, mut now) = (begin, Instant::now());
        world.agenda.add(Job::Load, now);
        let end = date(2027, 1, 1).at(2, 0, 0, 0);
        while zone.civil(clock) < end {
            if let Some(due) = world.timetable.advance(clock).due {
                world.due(zone.civil(due.at).date(), now);
            }
            world.step(now);
            (clock, now) = (clock + SignedDuration::from_mins(1), now + MINUTE);
        }
        let last = world.pending.map(|(day, _)| day);
        let days = date(2026, 1, 1).series(jiff::ToSpan::days(1)).take_while(|day| day.year() == 2026);
        for day in days {
            assert!(world.fates.contains_key(&day) || last == Some(day), "{day} has no fate");
        }
        for fate in world.fates.into_values() {
            *counts.entry(fate).or_insert(0_u32) += 1;
        }
    }
    let total: u32 = counts.values().sum();
    assert!(counts[&Fate::Done] > total / 2 && counts.len() == 4, "{counts:?}");
}
