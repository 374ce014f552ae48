//! Cron expressions, which match minutes of civil time. Time zones and clock changes are the scheduler's concern.

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

const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Why a cron expression is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// The wrong number of fields.
    #[error("expected five fields (minute, hour, day of month, month, day of week), found {0}")]
    Fields(usize),
    /// An unknown macro.
    #[error("unknown macro: expected @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly")]
    Macro,
    /// An invalid part of a field.
    #[error("invalid {field} field: expected {expected}, found {found:?}")]
    Part {
        /// The field.
        field: &'static str,
        /// The part, between two commas.
        found: String,
        /// The valid forms.
        expected: String,
    },
    /// None of its months has any of its days.
    #[error("never due: none of its months has any of its days")]
    Never,
}

/// A cron expression of five fields: minute, hour, day of month, month, day of week. Each is a comma-separated list of `*`,
/// numbers, ranges (`1-5`) and steps (`*/15`, `1-5/2`). Months and days of the week may be names.
///
/// As in cron, a day must match either day of month or day of week if neither field begins with `*`, else both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
    /// Whether a day needs to match only one of `days` and `weekdays`.
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
            let (_, fields) =
                MACROS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).ok_or(CronError::Macro)?;
            words = fields.split(' ').collect();
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
        if cron.is_ever_due() { Ok(cron) } else { Err(CronError::Never) }
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Cron {
    /// The first matching minute, starting with that of `from`; `None` after the year 9999.
    ///
    /// Tests the days of matching months one by one. The rarest match, a leap day on a given weekday, takes the days of 40
    /// Februaries.
    #[must_use]
    pub fn first_from(&self, from: DateTime) -> Option<DateTime> {
        let (today, time) = (from.date(), from.time());
        if self.matches(today)
            && let Some(time) = self.time_from(time.hour(), time.minute())
        {
            return Some(today.to_datetime(time));
        }
        let day = self.day_from(today.tomorrow().ok()?)?;
        Some(day.to_datetime(self.time_from(0, 0)?))
    }

    /// The first matching time of day, starting with the given minute.
    fn time_from(&self, hour: i8, minute: i8) -> Option<Time> {
        let this_hour = if self.hours.has(hour) { self.minutes.first_from(minute) } else { None };
        let (hour, minute) = match this_hour {
            Some(minute) => (hour, minute),
            None => (self.hours.first_from(hour + 1)?, self.minutes.first_from(0)?),
        };
        Time::new(hour, minute, 0, 0).ok()
    }

    fn day_from(&self, mut day: Date) -> Option<Date> {
        while !self.matches(day) {
            let passed = if self.months.has(day.month()) { day } else { day.last_of_month() };
            day = passed.tomorrow().ok()?;
        }
        Some(day)
    }

    fn matches(&self, day: Date) -> bool {
        let of_month = self.days.has(day.day());
        let of_week = self.weekdays.has(day.weekday().to_sunday_zero_offset());
        self.months.has(day.month()) && if self.either { of_month || of_week } else { of_month && of_week }
    }

    /// Whether any day matches. Weekdays do not matter: every date, even 29 February, falls on each of them within 400 years.
    fn is_ever_due(&self) -> bool {
        let longest = |month: &i8| match *month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let first = self.days.first_from(0);
        self.either || (1..=12).filter(|month| self.months.has(*month)).any(|month| first <= Some(longest(&month)))
    }
}
