//! What a process held, sample by sample, within a bound: enough for a sparkline.

use std::collections::VecDeque;

use r3e_common::runtime::memory::Figures;

/// The most samples of a process: ten minutes of them, one each second. With 8 bytes each, 4.8 KB a process.
pub(super) const MOST_SAMPLES: usize = 600;

/// What was held once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sample {
    allocated_kib: u32,
    resident_kib: u32,
}

/// Which figure of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// By the allocator's account.
    Allocated,
    /// By the kernel's.
    Resident,
}

/// The newest samples, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Series {
    samples: VecDeque<Sample>,
    /// So many older ones were dropped.
    dropped: usize,
}

impl Series {
    /// Adds what is held now; the oldest sample makes room.
    pub(super) fn push(&mut self, figures: &Figures) {
        if self.samples.len() == MOST_SAMPLES {
            self.samples.pop_front();
            self.dropped += 1;
        }
        let kib = |bytes: u64| u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
        self.samples
            .push_back(Sample { allocated_kib: kib(figures.allocated_bytes), resident_kib: kib(figures.rss_bytes) });
    }

    /// The most of either figure, in bytes.
    pub(super) fn most_bytes(&self) -> u64 {
        let most = self.samples.iter().map(|it| it.allocated_kib.max(it.resident_kib)).max();
        u64::from(most.unwrap_or(0)) << 10
    }

    /// All of it in so many columns at most: of the samples that fall into one, the highest, in bytes. A sample stays with
    /// its neighbours from one time to the next, so that a column does not change while nothing is added to it.
    pub(super) fn columns(&self, width: usize, held: Held) -> Vec<u64> {
        let Some(newest) = (self.dropped + self.samples.len()).checked_sub(1) else { return Vec::new() };
        let oldest = self.dropped;
        // How many share a column follows from how many there are alone. Once some were dropped, the first and the last column
        // are rarely full, and one is kept for that.
        let each = match (width, self.dropped) {
            (0, _) => return Vec::new(),
            (_, 0) => self.samples.len().div_ceil(width),
            (1, _) => usize::MAX,
            _ if self.samples.len() <= width => 1,
            _ => self.samples.len().div_ceil(width - 1),
        };
        let mut columns = vec![0; newest / each - oldest / each + 1];
        for (number, sample) in (oldest..).zip(&self.samples) {
            let kib = match held {
                Held::Allocated => sample.allocated_kib,
                Held::Resident => sample.resident_kib,
            };
            let column: &mut u64 = &mut columns[number / each - oldest / each];
            *column = (*column).max(u64::from(kib) << 10);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kib: impl IntoIterator<Item = u64>) -> Series {
        let mut series = Series::default();
        for kib in kib {
            series.push(&Figures { allocated_bytes: kib << 10, rss_bytes: kib << 11, ..Figures::default() });
        }
        series
    }

    #[test]
    fn the_highest_of_each_column_is_seen() {
        assert!(Series::default().columns(10, Held::Allocated).is_empty());
        let series = of([1, 9, 2, 3, 4]);
        assert!(series.columns(0, Held::Allocated).is_empty());
        assert_eq!(series.columns(10, Held::Allocated), [1, 9, 2, 3, 4].map(|kib| kib << 10));
        assert_eq!(series.columns(3, Held::Allocated), [9, 3, 4].map(|kib| kib << 10));
        assert_eq!(series.columns(1, Held::Resident), [18 << 10]);
        assert_eq!(series.most_bytes(), 18 << 10);
    }

    #[test]
    fn old_samples_make_room_and_columns_stand_still() {
        let before = of(0..1000);
        assert_eq!(before.samples.len(), MOST_SAMPLES);
        let columns = before.columns(50, Held::Allocated);
        assert!(columns.len() <= 50 && columns.len() > 40, "{}", columns.len());
        assert_eq!(columns.last(), Some(&(999 << 10)));
        let after = of(0..1001);
        let moved = after.columns(50, Held::Allocated);
        let common = columns.iter().filter(|it| moved.contains(it)).count();
        assert!(common >= columns.len() - 2, "{columns:?} {moved:?}");
    }

    #[test]
    fn what_is_larger_than_can_be_kept_is_the_largest() {
        assert_eq!(of([u64::MAX >> 11]).most_bytes(), u64::from(u32::MAX) << 10);
    }
}
