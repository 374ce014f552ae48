//! Cron expressions: which civil minutes one means. A civil minute is what a clock on the wall shows, on a date and in no zone;
//! what becomes of it where clocks are changed is not known here.

mod field;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};

use field::{Field, Set};

const MINUTE: Field = Field { name: "minute", min: 0, max: 59, names: &[] };
const HOUR: Field = Field { name: "hour", min: 0, max: 23, names: &[] };
const DAY: Field = Field { name: "day of month", min: 1, max: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// Sunday is both 0 and 7.
const WEEKDAY: Field =
    Field { name: "day of week", min: 0, max: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// What may stand for five fields.
const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Why a text is no cron expression that is ever due.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not as many fields as there have to be.
    #[error("expected five fields (minute, hour, day of month, month, day of week), found {0}")]
    Fields(usize),
    /// A macro that is not known.
    #[error("unknown macro: expected @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly")]
    Macro,
    /// A part of a field is wrong.
    #[error("invalid {field} field: expected {expected}, found {found:?}")]
    Part {
        /// The field.
        field: &'static str,
        /// The part, between two commas.
        found: String,
        /// What a part can be.
        expected: String,
    },
    /// No month that it names has a day that it names.
    #[error("never due: none of its months has such a day")]
    Never,
}

/// A cron expression of five fields: minute, hour, day of month, month, day of week. Each is `*`, a number, a range `1-5`, one
/// of `*` and ranges with a step `*/15`, or several of these with commas. Months and days of the week have names as well.
///
/// Where neither day of month nor day of week begins with `*`, a day on which either of them is met is meant, else one on
/// which both are: as cron itself has it.
///
/// Equal are those that mean the same and are written the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
    /// Whether a day on which one of `days` and `weekdays` is met will do.
    either: bool,
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ");
        if let [word] = words[..]
            && word.starts_with('@')
        {
            let (_, meant) =
                MACROS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).ok_or(CronError::Macro)?;
            words = meant.split(' ').collect();
        }
        let [minute, hour, day, month, weekday] = words[..] else { return Err(CronError::Fields(words.len())) };
        let cron = Self {
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY.parse(day)?,
            months: MONTH.parse(month)?,
            weekdays: WEEKDAY.parse(weekday)?.with_seven_as_zero(),
            either: !day.starts_with('*') && !weekday.starts_with('*'),
            text,
        };
        if cron.is_ever() { Ok(cron) } else { Err(CronError::Never) }
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Cron {
    /// The first minute that is meant, from the one that `from` is in; none after the last year there is, which is 9999.
    ///
    /// Looks at days one by one, in months that are meant: for the rarest, a leap day on a certain day of the week, at those
    /// of 40 Februaries.
    #[must_use]
    pub fn first_from(&self, from: DateTime) -> Option<DateTime> {
        let (today, time) = (from.date(), from.time());
        if self.means(today)
            && let Some(time) = self.time_from(time.hour(), time.minute())
        {
            return Some(today.to_datetime(time));
        }
        let day = self.day_from(today.tomorrow().ok()?)?;
        Some(day.to_datetime(self.time_from(0, 0)?))
    }

    /// The first time of day that is meant, from that one.
    fn time_from(&self, hour: i8, minute: i8) -> Option<Time> {
        let this_hour = if self.hours.has(hour) { self.minutes.first_from(minute) } else { None };
        let (hour, minute) = match this_hour {
            Some(minute) => (hour, minute),
            None => (self.hours.first_from(hour + 1)?, self.minutes.first_from(0)?),
        };
        Time::new(hour, minute, 0, 0).ok()
    }

    fn day_from(&self, mut day: Date) -> Option<Date> {
        while !self.means(day) {
            let passed = if self.months.has(day.month()) { day } else { day.last_of_month() };
            day = passed.tomorrow().ok()?;
        }
        Some(day)
    }

    fn means(&self, day: Date) -> bool {
        let of_month = self.days.has(day.day());
        let of_week = self.weekdays.has(day.weekday().to_sunday_zero_offset());
        self.months.has(day.month()) && if self.either { of_month || of_week } else { of_month && of_week }
    }

    /// Whether there is any day that is meant. In 400 years each date falls on each day of the week, 29 February too.
    fn is_ever(&self) -> bool {
        let longest = |month: &i8| match *month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let first = self.days.first_from(0);
        self.either || (1..=12).filter(|month| self.months.has(*month)).any(|month| first <= Some(longest(&month)))
    }
}
