//! A year of days with jobs of all lengths, across due times, that fail in all ways: what becomes of each day's refresh.

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
    /// It was tried, and failed until the next one was due.
    Superseded,
    /// It failed `schedule.attempts` times in ways that waiting may not fix.
    GivenUp,
}

/// A scheduler without processes and files.
struct World {
    random: fastrand::Rng,
    timetable: Timetable,
    agenda: Agenda,
    at_work: Option<(Try, Instant, Ending)>,
    /// The day whose refresh is not over, and what becomes of it when the refresh is done.
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
        let at_work = self.at_work.map(|(tried, ..)| tried.job);
        let waiting = self.agenda.waiting(Job::Refresh(Reason::Due));
        if self.agenda.due(Reason::Due, at_work, now) {
            assert!(self.pending.is_none() || waiting.is_some_and(|it| it.attempt > 1), "{day} {:?}", self.pending);
            self.over(Some(Fate::Superseded));
            self.pending = Some((day, Fate::Done));
        } else {
            // The running refresh does the work of both.
            self.over(Some(Fate::Superseded));
            self.pending = Some((day, Fate::DoneByAnother));
        }
    }

    fn step(&mut self, now: Instant) {
        if let Some((tried, until, ending)) = self.at_work
            && until <= now
        {
            self.at_work = None;
            let next = self.agenda.ended(tried, ending, now, self.random.f64());
            if matches!(tried.job, Job::Refresh(_)) {
                match next {
                    Next::Over => self.over(None),
                    Next::GivenUp => self.over(Some(Fate::GivenUp)),
                    _ => assert!(self.agenda.waiting(tried.job).is_some(), "{next:?}"),
                }
            }
        }
        // Somebody asks for boards now and then, and for everything.
        let asked = self.random.u32(0..3000);
        if self.at_work.is_none() && asked < 4 {
            self.agenda.ask(if asked == 0 { Job::Refresh(Reason::Trigger) } else { Job::Boards }, now);
        }
        if self.at_work.is_none()
            && let Some(tried) = self.agenda.start(now)
        {
            let length = MINUTE * u32::try_from(self.random.u64(1..=LONGEST)).unwrap();
            let ending = match self.random.u32(0..10) {
                0 => Ending::Fault,
                1..4 => Ending::Transient,
                _ => Ending::Done,
            };
            self.at_work = Some((tried, now + length, ending));
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
            at_work: None,
            pending: None,
            fates: BTreeMap::new(),
        };
        let (mut clock, mut now) = (begin, Instant::now());
        world.agenda.ask(Job::Load, now);
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
            assert!(world.fates.contains_key(&day) || last == Some(day), "nothing became of {day}");
        }
        for fate in world.fates.into_values() {
            *counts.entry(fate).or_insert(0_u32) += 1;
        }
    }
    let total: u32 = counts.values().sum();
    assert!(counts[&Fate::Done] > total / 2 && counts.len() == 4, "{counts:?}");
}
