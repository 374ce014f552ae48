//! Estimates when the remaining boards will be done, from the recent rate.

use std::collections::VecDeque;
use std::time::Duration;

use r3e_common::runtime::control::BoardsProgress;

/// Samples that the rate is taken from: the last minute at one a second.
const MAX_SAMPLES: usize = 60;

/// The recent progress of a process.
#[derive(Debug, Default)]
pub(super) struct Eta {
    samples: VecDeque<(Duration, u64)>,
    total: u64,
}

/// Boards that are done, successfully or not.
pub(super) fn done(progress: &BoardsProgress) -> u64 {
    progress.fetched.saturating_add(progress.failed)
}

impl Eta {
    /// Adds a sample. Starts over when the process works on other boards than before.
    pub(super) fn add(&mut self, at: Duration, progress: Option<&BoardsProgress>) {
        let Some(progress) = progress else {
            *self = Self::default();
            return;
        };
        let done = done(progress);
        if progress.total != self.total || self.samples.back().is_some_and(|last| last.1 > done) {
            *self = Self { samples: VecDeque::new(), total: progress.total };
        }
        if self.samples.len() == MAX_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((at, done));
    }

    /// Time left at the recent rate. `None` while the rate is unknown or zero.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let (&(first, done_then), &(last, done_now)) = (self.samples.front()?, self.samples.back()?);
        let left = self.total.saturating_sub(done_now);
        if left == 0 {
            return Some(Duration::ZERO);
        }
        let (elapsed, done) = (last.checked_sub(first)?, done_now.checked_sub(done_then).filter(|&done| done > 0)?);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let ratio = left as f64 / done as f64;
        Duration::try_from_secs_f64(elapsed.as_secs_f64() * ratio).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(samples: &[(u64, u64, u64)]) -> Option<Duration> {
        let mut eta = Eta::default();
        for &(second, fetched, total) in samples {
            let progress = BoardsProgress { total, fetched, failed: 0, entries: 0 };
            eta.add(Duration::from_secs(second), Some(&progress));
        }
        eta.time_left()
    }

    #[test]
    fn the_time_left_follows_the_recent_rate() {
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[(0, 0, 100)]), None, "no rate yet");
        assert_eq!(after(&[(0, 10, 100), (5, 10, 100)]), None, "a rate of zero");
        assert_eq!(after(&[(0, 0, 100), (10, 20, 100)]), Some(Duration::from_secs(40)));
        assert_eq!(after(&[(0, 100, 100)]), Some(Duration::ZERO));
        let slower: Vec<_> = (0..=200).map(|s| (s, if s < 100 { s * 10 } else { 1000 + (s - 100) }, 1160)).collect();
        assert_eq!(after(&slower), Some(Duration::from_mins(1)), "older samples do not count");
    }

    #[test]
    fn other_boards_start_over() {
        assert_eq!(after(&[(0, 0, 100), (1, 90, 100), (2, 0, 50)]), None);
        assert_eq!(after(&[(0, 0, 100), (1, 90, 100), (2, 3, 100)]), None);
        let mut eta = Eta::default();
        eta.add(Duration::ZERO, Some(&BoardsProgress { total: 9, fetched: 9, failed: u64::MAX, entries: 0 }));
        assert_eq!(eta.time_left(), Some(Duration::ZERO), "huge values do not overflow");
        eta.add(Duration::ZERO, None);
        assert_eq!(eta.time_left(), None);
    }
}
