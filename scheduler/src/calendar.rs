//! When runs are due: the rules of the configuration, and the instants that they come to in a time zone.
//!
//! Rules speak of civil time. Each instant is found from its date and time of day, never from the run before it, so that no
//! change of the clocks moves the runs that follow. Where clocks are changed:
//! - A civil time that is skipped is due when the clocks have been set forward: 02:30 in Berlin in spring at 03:00.
//! - A civil time that comes twice is due the first time only. So `0 * * * *` has two hours between two runs in autumn.
//! - A day that is skipped as a whole (30 December 2011 in Samoa) is no day, and has no run.

#[cfg(test)]
mod tests;
mod zone;

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, ToSpan as _};
use r3e_common::runtime::config::Schedule;
use r3e_common::runtime::cron::Cron;

pub use zone::Zone;

/// What makes runs due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Every day at this time.
    Daily(Time),
    /// A cron expression.
    Cron(Cron),
}

impl Rule {
    /// The first civil minute that it means, from the one that `from` is in.
    fn first_from(&self, from: DateTime) -> Option<DateTime> {
        match self {
            Self::Daily(at) => {
                let passed = from.time().with().second(0).subsec_nanosecond(0).build().ok()? > *at;
                let day: Date = if passed { from.date().tomorrow().ok()? } else { from.date() };
                Some(day.to_datetime(*at))
            }
            Self::Cron(cron) => cron.first_from(from),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daily(at) => write!(f, "daily at {:02}:{:02}", at.hour(), at.minute()),
            Self::Cron(cron) => write!(f, "cron {cron}"),
        }
    }
}

/// All rules, in their zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: Zone,
    rules: Vec<Rule>,
}

impl Calendar {
    /// The calendar of the configuration. The system's zone is what it is now: who changes it restarts the scheduler.
    #[must_use]
    pub fn of(schedule: &Schedule) -> Self {
        let zone = schedule.time_zone.clone().map_or_else(Zone::of_system, Zone::named);
        Self::new(zone, schedule.daily_at, &schedule.cron)
    }

    /// Runs daily at that time, and at those of cron expressions.
    #[must_use]
    pub fn new(zone: Zone, daily_at: Time, cron: &[Cron]) -> Self {
        let rules = [Rule::Daily(daily_at)].into_iter().chain(cron.iter().cloned().map(Rule::Cron)).collect();
        Self { zone, rules }
    }

    /// The zone of its rules.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Its rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The first instant strictly after that one at which a run is due; none after the year 9999.
    #[must_use]
    pub fn after(&self, instant: Timestamp) -> Option<Timestamp> {
        self.rules.iter().filter_map(|rule| self.of_rule_after(rule, instant)).min()
    }

    /// The first run strictly after that instant, with the rules that meet in it.
    #[must_use]
    pub fn run_after(&self, instant: Timestamp) -> Option<(Timestamp, Vec<&Rule>)> {
        let due = self.after(instant)?;
        let meet = |rule: &&Rule| self.of_rule_after(rule, instant) == Some(due);
        Some((due, self.rules.iter().filter(meet).collect()))
    }

    /// From the civil minute that it is then, minutes that the rule means are looked at until one is due later: the others
    /// come again while clocks have been set back, or are of a day that is skipped, so there are few of them.
    fn of_rule_after(&self, rule: &Rule, instant: Timestamp) -> Option<Timestamp> {
        let mut from = self.zone.civil(instant);
        loop {
            let minute = rule.first_from(from)?;
            if let Some(due) = self.zone.instant(minute).filter(|due| *due > instant) {
                return Some(due);
            }
            from = minute.checked_add(1.minute()).ok()?;
        }
    }
}
