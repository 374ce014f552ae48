//! One field of a cron expression, and the set of numbers it matches.

use super::CronError;

/// A set of numbers from 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    pub(super) fn has(self, number: i8) -> bool {
        self.first_from(number) == Some(number)
    }

    /// The smallest number in the set that is at least `number`.
    pub(super) fn first_from(self, number: i8) -> Option<i8> {
        let rest = u32::try_from(number).ok().and_then(|it| u64::MAX.checked_shl(it)).map_or(0, |from| self.0 & from);
        if rest == 0 { None } else { i8::try_from(rest.trailing_zeros()).ok() }
    }

    /// For days of the week: treats 7 as 0, since both are Sunday.
    pub(super) fn with_seven_as_zero(self) -> Self {
        Self((self.0 | self.0 >> 7) & 0x7f)
    }
}

/// The definition of a field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) min: i8,
    pub(super) max: i8,
    /// The names of its numbers, from `min` on.
    pub(super) names: &'static [&'static str],
}

impl Field {
    /// The numbers that the text stands for.
    pub(super) fn parse(&self, text: &str) -> Result<Set, CronError> {
        let mut all = 0;
        for part in text.split(',') {
            all |= self.part(part).ok_or_else(|| self.wrong(part))?;
        }
        Ok(Set(all))
    }

    fn wrong(&self, part: &str) -> CronError {
        let Self { name, min, max, names } = self;
        let named = match names {
            [first, .., last] => format!(" or names {first} to {last}"),
            _ => String::new(),
        };
        let expected = format!("numbers {min} to {max}{named}, rising ranges, or * or ranges with steps up to {max}");
        CronError::Part { field: name, found: part.chars().take(20).collect(), expected }
    }

    /// The numbers of one part, as bits. Only `*` and ranges may have steps: cron implementations disagree about what 5/15
    /// means.
    fn part(&self, part: &str) -> Option<u64> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| (1..=self.max).contains(step))?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => self.range(first, last)?,
            None if range == "*" => (self.min, self.max),
            None if step.is_none() => (self.number(range)?, self.number(range)?),
            None => return None,
        };
        let numbers = (first..=last).step_by(usize::try_from(step.unwrap_or(1)).ok()?);
        Some(numbers.fold(0, |bits, number| bits | 1 << number))
    }

    fn range(&self, first: &str, last: &str) -> Option<(i8, i8)> {
        let (first, mut last) = (self.number(first)?, self.number(last)?);
        // Days of the week, up to Sunday: fri-sun.
        if last == 0 && first > 0 && self.max == 7 {
            last = 7;
        }
        (first <= last).then_some((first, last))
    }

    fn number(&self, text: &str) -> Option<i8> {
        let named = (self.min..).zip(self.names).find(|(_, name)| name.eq_ignore_ascii_case(text));
        let number = named.map(|(number, _)| number).or_else(|| number(text))?;
        (self.min..=self.max).contains(&number).then_some(number)
    }
}

/// A number of one or two digits, and nothing else.
fn number(text: &str) -> Option<i8> {
    let digits = matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}
