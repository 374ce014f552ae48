//! A driver's figures, and the metrics by which lists are sorted.

use std::cmp::Ordering;

/// A driver's figures in a scope.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tally {
    pub(super) driver: u32,
    pub(super) entries: u32,
    pub(super) poles: u32,
    pub(super) podiums: u32,
    pub(super) bested: u64,
    /// The sum of shares while results are counted, then their mean in percent, rounded.
    average: f64,
    /// Boards that count for the average.
    rated: u32,
}

impl Tally {
    pub(super) fn new(driver: u32) -> Self {
        Self { driver, entries: 0, poles: 0, podiums: 0, bested: 0, average: 0.0, rated: 0 }
    }

    /// Adds a result: a position on a board with `of` entries.
    pub(super) fn add(&mut self, position: u32, of: u32) {
        self.entries += 1;
        self.poles += u32::from(position == 1 && of >= 2);
        self.podiums += u32::from(position <= 3 && of >= 4);
        self.bested += u64::from(of.saturating_sub(position));
        if of >= 2 {
            // Below 0 where the position is beyond the end of the board.
            self.average += (f64::from(of) - f64::from(position)) / (f64::from(of) - 1.0);
            self.rated += 1;
        }
    }

    /// Computes the average once all results are added.
    pub(super) fn end(&mut self) {
        if self.rated > 0 {
            self.average = rounded(self.average / f64::from(self.rated) * 100.0);
        }
    }

    /// The mean share of others that were bested, in percent; 0 if no board counts.
    pub(super) fn average(&self) -> f64 {
        self.average
    }
}

/// Rounds to two decimals, or to four if the value is negative or would become 0.
fn rounded(percent: f64) -> f64 {
    let scale = if percent == 0.0 || percent >= 0.01 { 100.0 } else { 10_000.0 };
    // Adding 0 turns -0 into 0.
    (percent * scale).round() / scale + 0.0
}

/// The metric by which a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    Poles,
    Bested,
    Podiums,
    AverageBested,
    Entries,
}

impl Metric {
    pub(super) const ALL: [Self; 5] = [Self::Poles, Self::Bested, Self::Podiums, Self::AverageBested, Self::Entries];

    /// As files name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Poles => "pole",
            Self::Bested => "bested",
            Self::Podiums => "podium",
            Self::AverageBested => "avg_bested",
            Self::Entries => "entries",
        }
    }

    /// The indices of up to `limit` tallies, best first. A tally is listed if it has anything to show for this metric and
    /// `admits` accepts it. `names` has the rank of each driver's name, which breaks ties.
    pub(super) fn list(
        self,
        tallies: &[Tally],
        names: &[u32],
        admits: impl Fn(&Tally) -> bool,
        limit: usize,
    ) -> Vec<u32> {
        let tally = |number: &u32| &tallies[*number as usize];
        let all = 0..u32::try_from(tallies.len()).unwrap_or(u32::MAX);
        let mut list: Vec<u32> = all.filter(|it| self.has(tally(it)) && admits(tally(it))).collect();
        let compare = |a: &u32, b: &u32| self.compare(tally(a), tally(b), names);
        if list.len() > limit {
            list.select_nth_unstable_by(limit, compare);
            list.truncate(limit);
        }
        list.sort_unstable_by(compare);
        list
    }

    /// Whether a driver has anything to be listed for.
    fn has(self, tally: &Tally) -> bool {
        match self {
            Self::Poles => tally.poles > 0,
            Self::Bested => tally.bested > 0,
            Self::Podiums => tally.podiums > 0,
            Self::AverageBested => tally.rated > 0,
            Self::Entries => true,
        }
    }

    /// The order of a list: largest first; ties by name and then by id.
    fn compare(self, a: &Tally, b: &Tally, names: &[u32]) -> Ordering {
        let (poles, bested) = (b.poles.cmp(&a.poles), b.bested.cmp(&a.bested));
        let (entries, average) = (b.entries.cmp(&a.entries), b.average.total_cmp(&a.average));
        let by_figures = match self {
            Self::Poles => poles.then(bested),
            Self::Bested => bested.then(poles),
            Self::Podiums => b.podiums.cmp(&a.podiums).then(poles),
            Self::AverageBested => average.then(entries).then(bested),
            Self::Entries => entries.then(average).then(bested),
        };
        by_figures.then_with(|| names[a.driver as usize].cmp(&names[b.driver as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_rounded_as_front_ends_expect() {
        for (percent, expected) in [
            (61.111, "61.11"),
            (0.0025, "0.0025"),
            (0.01, "0.01"),
            (75.0, "75"),
            (-0.000_01, "0"),
            (-12.345_67, "-12.3457"),
        ] {
            assert_eq!(rounded(percent).to_string(), expected);
        }
    }

    #[test]
    fn a_position_beyond_the_end_bests_nobody_and_lowers_the_average() {
        let mut tally = Tally::new(0);
        tally.add(9, 5);
        tally.end();
        assert_eq!((tally.bested, tally.average().to_string()), (0, "-100".to_owned()));
    }
}
