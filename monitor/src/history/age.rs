//! The age of samples. The clock cannot be trusted for this: a machine without an RTC battery may start with any time, and
//! one start 400 days ahead must not expire everything.
//!
//! So the time by which samples expire is kept in the history, and advances at most twice as fast as the clock. A clock
//! that is ahead for an hour expires at most one extra hour of samples. After a period without a watch, catching up takes
//! as long as that period.

use std::time::Instant;

use super::whole_ms;

/// 2026-01-01, before the first release: an earlier clock is wrong.
const EARLIEST_MS: i64 = 1_767_225_600_000;

/// The time by which samples are dropped.
#[derive(Debug)]
pub(super) struct Age {
    /// As it was when the history was opened; `None` in a new one.
    kept_ms: Option<i64>,
    opened: Instant,
}

impl Age {
    pub(super) fn new(kept_ms: Option<i64>) -> Self {
        Self { kept_ms, opened: Instant::now() }
    }

    /// The time, given what the clock shows. `None` if the clock is certainly wrong.
    pub(super) fn now_ms(&self, clock_ms: i64) -> Option<i64> {
        now_ms(self.kept_ms, whole_ms(self.opened.elapsed()), clock_ms)
    }
}

fn now_ms(kept_ms: Option<i64>, open_ms: i64, clock_ms: i64) -> Option<i64> {
    let bound = kept_ms.map_or(i64::MAX, |kept| kept.saturating_add(open_ms.saturating_mul(2)));
    (clock_ms >= EARLIEST_MS).then(|| clock_ms.min(bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const NOW: i64 = EARLIEST_MS + 300 * DAY;

    /// Each run of a watch: days without a watch before it, days of watching, and days by which its clock was ahead.
    /// Returns how many days the history's time lags at the end.
    fn behind_after(runs: &[(i64, i64, i64)]) -> i64 {
        let (mut right, mut kept) = (NOW, None);
        for (off, watched, ahead) in runs {
            right += off * DAY;
            let mut judged = (0..=*watched).map(|day| now_ms(kept, day * DAY, right + (day + ahead) * DAY));
            kept = judged.next_back().unwrap().or(kept);
            right += watched * DAY;
        }
        (right - kept.unwrap()) / DAY
    }

    #[test]
    fn a_clock_ahead_ages_samples_no_more_than_it_lasted() {
        assert_eq!(behind_after(&[(0, 10, 0)]), 0);
        assert_eq!(behind_after(&[(0, 10, 0), (0, 0, 400)]), 0);
        assert_eq!(behind_after(&[(0, 10, 0), (0, 3, 400)]), -3);
        assert_eq!(behind_after(&[(0, 10, 0), (0, 0, 400), (0, 0, 400), (0, 1, 400)]), -1, "again and again");
        assert_eq!(behind_after(&[(0, 10, 0), (0, 3, 400), (0, 1, 0)]), 0, "and then it is right");
        assert_eq!(behind_after(&[(0, 1, 400), (0, 1, 0), (0, 1, 400)]), -1, "ahead from the very beginning");
    }

    #[test]
    fn unwatched_time_is_caught_up() {
        assert_eq!(behind_after(&[(0, 1, 0), (100, 0, 0)]), 100);
        assert_eq!(behind_after(&[(0, 1, 0), (100, 60, 0)]), 40);
        assert_eq!(behind_after(&[(0, 1, 0), (100, 100, 0)]), 0);
    }

    #[test]
    fn a_clock_that_is_behind_changes_nothing() {
        assert_eq!(now_ms(Some(NOW), DAY, 0), None);
        assert_eq!(now_ms(None, DAY, EARLIEST_MS - 1), None);
        assert_eq!(behind_after(&[(0, 1, 0), (1, 5, -600), (0, 1, 0)]), 5);
    }
}
