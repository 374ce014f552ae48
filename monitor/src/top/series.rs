//! The memory of a process over time, for sparklines.

use std::collections::VecDeque;

use r3e_common::runtime::memory::Figures;

/// Upper bound of the samples of a process: ten minutes at one a second, 4.8 KB.
pub(super) const MAX_SAMPLES: usize = 600;

/// Memory at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sample {
    allocated_kib: u32,
    resident_kib: u32,
}

/// A figure of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    /// Allocated, from the allocator.
    Allocated,
    /// Resident, from the kernel.
    Resident,
}

/// The latest samples, oldest first.
#[derive(Debug, Default)]
pub(super) struct Series {
    samples: VecDeque<Sample>,
    /// Older samples that were dropped.
    dropped: usize,
}

impl Series {
    /// Adds a sample, and drops the oldest if there are too many.
    pub(super) fn push(&mut self, figures: &Figures) {
        if self.samples.len() == MAX_SAMPLES {
            self.samples.pop_front();
            self.dropped += 1;
        }
        let kib = |bytes: u64| u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
        self.samples
            .push_back(Sample { allocated_kib: kib(figures.allocated_bytes), resident_kib: kib(figures.rss_bytes) });
    }

    /// Maximum of either figure, in bytes.
    pub(super) fn max_bytes(&self) -> u64 {
        let most = self.samples.iter().map(|it| it.allocated_kib.max(it.resident_kib)).max();
        u64::from(most.unwrap_or(0)) << 10
    }

    /// Downsamples to at most `width` columns: the maximum of each group of samples, in bytes. Groups are fixed by the sample
    /// numbers, so that columns move left without changing.
    pub(super) fn columns(&self, width: usize, figure: Figure) -> Vec<u64> {
        let Some(newest) = (self.dropped + self.samples.len()).checked_sub(1) else { return Vec::new() };
        let oldest = self.dropped;
        // Once samples were dropped, the first and the last group are partial, which may take one more column.
        let each = match (width, self.dropped) {
            (0, _) => return Vec::new(),
            (_, 0) => self.samples.len().div_ceil(width),
            (1, _) => usize::MAX,
            _ if self.samples.len() <= width => 1,
            _ => self.samples.len().div_ceil(width - 1),
        };
        let mut columns = vec![0; newest / each - oldest / each + 1];
        for (number, sample) in (oldest..).zip(&self.samples) {
            let kib = match figure {
                Figure::Allocated => sample.allocated_kib,
                Figure::Resident => sample.resident_kib,
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
    fn each_column_shows_its_maximum() {
        assert!(Series::default().columns(10, Figure::Allocated).is_empty());
        let series = of([1, 9, 2, 3, 4]);
        assert!(series.columns(0, Figure::Allocated).is_empty());
        assert_eq!(series.columns(10, Figure::Allocated), [1, 9, 2, 3, 4].map(|kib| kib << 10));
        assert_eq!(series.columns(3, Figure::Allocated), [9, 3, 4].map(|kib| kib << 10));
        assert_eq!(series.columns(1, Figure::Resident), [18 << 10]);
        assert_eq!(series.max_bytes(), 18 << 10);
    }

    #[test]
    fn old_samples_are_dropped_and_columns_do_not_change() {
        let before = of(0..1000);
        assert_eq!(before.samples.len(), MAX_SAMPLES);
        let columns = before.columns(50, Figure::Allocated);
        assert!(columns.len() <= 50 && columns.len() > 40, "{}", columns.len());
        assert_eq!(columns.last(), Some(&(999 << 10)));
        let after = of(0..1001);
        let moved = after.columns(50, Figure::Allocated);
        let common = columns.iter().filter(|it| moved.contains(it)).count();
        assert!(common >= columns.len() - 2, "{columns:?} {moved:?}");
    }

    #[test]
    fn huge_values_saturate() {
        assert_eq!(of([u64::MAX >> 11]).max_bytes(), u64::from(u32::MAX) << 10);
    }
}
