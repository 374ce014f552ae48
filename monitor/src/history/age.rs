//! How old what is in the history is. The machine's clock alone does not tell: without a battery it starts wherever it likes, and
//! one start 400 days ahead must not drop everything.
//!
//! So the moment by which old samples are dropped is kept in the history, and follows the clock no faster than at twice its
//! pace: a clock that is ahead for an hour costs one hour of the oldest samples at most, and time that nobody watched is made up
//! for as long again as it was.

use std::time::Instant;

/// 2026-01-01, before the first release: a clock that is behind this is wrong.
const EARLIEST_MS: i64 = 1_767_225_600_000;

/// The moment by which samples are judged.
#[derive(Debug)]
pub(super) struct Age {
    /// What it was when the history was opened; none in a new one.
    kept_ms: Option<i64>,
    opened: Instant,
}

impl Age {
    /// Of a history that is opened now, in which that moment is kept.
    pub(super) fn new(kept_ms: Option<i64>) -> Self {
        Self { kept_ms, opened: Instant::now() }
    }

    /// That moment by this clock; none where the clock is wrong beyond doubt.
    pub(super) fn now_ms(&self, clock_ms: i64) -> Option<i64> {
        let open_ms = i64::try_from(self.opened.elapsed().as_millis()).unwrap_or(i64::MAX);
        now_ms(self.kept_ms, open_ms, clock_ms)
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

    /// Runs of a watch, each with how long it was off before, how long it watched, and how far its clock was ahead, in days. Gives
    /// what samples are judged by at the end, in days before the right moment.
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
    fn a_clock_that_is_ahead_costs_no_more_than_the_time_it_was() {
        assert_eq!(behind_after(&[(0, 10, 0)]), 0);
        assert_eq!(behind_after(&[(0, 10, 0), (0, 0, 400)]), 0);
        assert_eq!(behind_after(&[(0, 10, 0), (0, 3, 400)]), -3);
        assert_eq!(behind_after(&[(0, 10, 0), (0, 0, 400), (0, 0, 400), (0, 1, 400)]), -1, "again and again");
        assert_eq!(behind_after(&[(0, 10, 0), (0, 3, 400), (0, 1, 0)]), 0, "and then it is right");
        assert_eq!(behind_after(&[(0, 1, 400), (0, 1, 0), (0, 1, 400)]), -1, "ahead from the very beginning");
    }

    #[test]
    fn time_that_nobody_watched_is_made_up_for() {
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
