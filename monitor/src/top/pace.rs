//! How fast boards come, and so when the rest will be there.

use std::collections::VecDeque;
use std::time::Duration;

use r3e_common::runtime::control::BoardsProgress;

/// The rate is that of so many samples: of the last minute, one each second.
const MOST_POINTS: usize = 60;

/// How far a process was, lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    points: VecDeque<(Duration, u64)>,
    total: u64,
}

/// How many boards are done with, whether they came or not.
pub(super) fn done(progress: &BoardsProgress) -> u64 {
    progress.fetched.saturating_add(progress.failed)
}

impl Pace {
    /// Notes how far it is at that time; begins anew where other boards are fetched than before.
    pub(super) fn note(&mut self, at: Duration, progress: Option<&BoardsProgress>) {
        let Some(progress) = progress else {
            *self = Self::default();
            return;
        };
        let done = done(progress);
        if progress.total != self.total || self.points.back().is_some_and(|last| last.1 > done) {
            *self = Self { points: VecDeque::new(), total: progress.total };
        }
        if self.points.len() == MOST_POINTS {
            self.points.pop_front();
        }
        self.points.push_back((at, done));
    }

    /// How long the rest takes, as things went lately. None before that can be told, or while nothing comes.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let (&(then, before), &(now, done)) = (self.points.front()?, self.points.back()?);
        let left = self.total.saturating_sub(done);
        if left == 0 {
            return Some(Duration::ZERO);
        }
        let (gone, came) = (now.checked_sub(then)?, done.checked_sub(before).filter(|&came| came > 0)?);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let share = left as f64 / came as f64;
        Duration::try_from_secs_f64(gone.as_secs_f64() * share).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(points: &[(u64, u64, u64)]) -> Option<Duration> {
        let mut pace = Pace::default();
        for &(second, fetched, total) in points {
            let progress = BoardsProgress { total, fetched, failed: 0, entries: 0 };
            pace.note(Duration::from_secs(second), Some(&progress));
        }
        pace.time_left()
    }

    #[test]
    fn the_time_left_follows_the_rate_of_late() {
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[(0, 0, 100)]), None, "no rate yet");
        assert_eq!(after(&[(0, 10, 100), (5, 10, 100)]), None, "nothing comes");
        assert_eq!(after(&[(0, 0, 100), (10, 20, 100)]), Some(Duration::from_secs(40)));
        assert_eq!(after(&[(0, 100, 100)]), Some(Duration::ZERO));
        let slower: Vec<_> = (0..=200).map(|s| (s, if s < 100 { s * 10 } else { 1000 + (s - 100) }, 1160)).collect();
        assert_eq!(after(&slower), Some(Duration::from_mins(1)), "what was before is forgotten");
    }

    #[test]
    fn other_boards_begin_anew() {
        assert_eq!(after(&[(0, 0, 100), (1, 90, 100), (2, 0, 50)]), None);
        assert_eq!(after(&[(0, 0, 100), (1, 90, 100), (2, 3, 100)]), None);
        let mut pace = Pace::default();
        pace.note(Duration::ZERO, Some(&BoardsProgress { total: 9, fetched: 9, failed: u64::MAX, entries: 0 }));
        assert_eq!(pace.time_left(), Some(Duration::ZERO), "huge values are no trouble");
        pace.note(Duration::ZERO, None);
        assert_eq!(pace.time_left(), None);
    }
}
