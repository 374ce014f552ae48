//! When runs are due: the configured rules, and their instants in a time zone.
//!
//! Rules are in civil time. Each instant is computed from its date and time of day, never from the previous run, so that a
//! clock change does not shift later runs. At a clock change:
//! - A skipped time is due at the end of the gap: in spring in Berlin, 02:30 runs at 03:00.
//! - A repeated time is due the first time only, so `0 * * * *` has a pause of two hours in autumn.
//! - A day that is skipped entirely (30 December 2011 in Samoa) has no runs.

#[cfg(test)]
mod tests;
mod zone;

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, ToSpan as _};
use r3e_common::runtime::config::Schedule;
use r3e_common::runtime::cron::Cron;

pub use zone::Zone;

/// A rule for when runs are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Every day at this time.
    Daily(Time),
    /// A cron expression.
    Cron(Cron),
}

impl Rule {
    /// The first matching minute, starting with that of `from`.
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

/// All rules, in a time zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: Zone,
    rules: Vec<Rule>,
}

impl Calendar {
    /// The configured calendar. A change of the system's time zone takes effect after a restart.
    #[must_use]
    pub fn of(schedule: &Schedule) -> Self {
        let zone = schedule.time_zone.clone().map_or_else(Zone::of_system, Zone::named);
        Self::new(zone, schedule.daily_at, &schedule.cron)
    }

    /// A calendar of a daily time and cron expressions.
    #[must_use]
    pub fn new(zone: Zone, daily_at: Time, cron: &[Cron]) -> Self {
        let rules = [Rule::Daily(daily_at)].into_iter().chain(cron.iter().cloned().map(Rule::Cron)).collect();
        Self { zone, rules }
    }

    /// The time zone.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The first run strictly after `instant`; `None` after the year 9999.
    #[must_use]
    pub fn after(&self, instant: Timestamp) -> Option<Timestamp> {
        self.rules.iter().filter_map(|rule| self.of_rule_after(rule, instant)).min()
    }

    /// The first run strictly after `instant`, with all rules that are due then.
    #[must_use]
    pub fn run_after(&self, instant: Timestamp) -> Option<(Timestamp, Vec<&Rule>)> {
        let due = self.after(instant)?;
        let meet = |rule: &&Rule| self.of_rule_after(rule, instant) == Some(due);
        Some((due, self.rules.iter().filter(meet).collect()))
    }

    /// Tries matching minutes until one is later than `instant`. Only a few are not: repeated ones after a clock was set back,
    /// and those of a skipped day.
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
