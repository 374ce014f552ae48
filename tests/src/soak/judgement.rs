//! The verdict on each series, by the statistics of the monitor's verdict.

use std::fmt;

use r3e_monitor::verdict::{Growth, Point, Verdict, WARM_UP, judge};

use super::ledger::{Ledger, Series, Test};

/// The verdict on one resource of one process.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// The process: a daemon, a kind of job, or a folder.
    pub(super) process: String,
    /// The resource.
    pub(super) resource: &'static str,
    /// What was measured.
    pub(super) series: Series,
    /// The points that were judged.
    pub(super) judged: Vec<Point>,
    /// The verdict.
    pub(super) verdict: Outcome,
    /// Growth per cycle, or per run in the order of the size of the work. `None` if there are too few points, or with a limit.
    pub(super) growth: Option<Growth>,
}

/// What a row says about its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing grows.
    Flat,
    /// It grows, but it is not sure that this lasts: only a longer run would tell. In one of a hundred clean series it is so by
    /// chance.
    Suspect,
    /// It grows.
    Grows,
    /// It was above its limit.
    AboveLimit,
    /// There are too few points.
    TooFew,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Flat => "flat",
            Self::Suspect => "suspect",
            Self::Grows => "GROWS",
            Self::AboveLimit => "ABOVE LIMIT",
            Self::TooFew => "too few",
        })
    }
}

impl Row {
    /// Whether the soak has failed for it.
    #[must_use]
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.verdict, Outcome::Grows | Outcome::AboveLimit)
    }

    /// The first and the last value that were judged.
    #[must_use]
    pub(super) fn ends(&self) -> (u64, u64) {
        let value = |point: Option<&Point>| point.map_or(0, |it| it.value);
        (value(self.judged.first()), value(self.judged.last()))
    }
}

/// Judges all series.
#[must_use]
pub(super) fn rows(ledger: &Ledger) -> Vec<Row> {
    ledger.series.iter().map(|((process, resource), series)| row(process, resource, series)).collect()
}

fn row(process: &str, resource: &'static str, series: &Series) -> Row {
    let judged = match series.test {
        Test::Growth(_) => series.present().iter().skip(WARM_UP).copied().collect(),
        Test::NightToNight(_) | Test::Limit(_) => series.points.clone(),
        Test::WithWork(_) => by_work(&series.points),
    };
    let (verdict, growth) = match series.test {
        Test::Limit(most) => {
            let is_above = judged.iter().any(|it| it.value > most);
            (if is_above { Outcome::AboveLimit } else { Outcome::Flat }, None)
        }
        Test::Growth(figure) | Test::NightToNight(figure) | Test::WithWork(figure) => {
            // Their warm-up is over, or they need none.
            let judgement = judge(figure, &judged, WARM_UP);
            let verdict = match (judgement.verdict, series.test) {
                (Verdict::TooFewSamples, _) => Outcome::TooFew,
                (Verdict::Flat, _) => Outcome::Flat,
                // What a verdict waits for is whether growth lasts, which has no meaning in the order of the size of the work.
                (Verdict::Leak, _) | (Verdict::Suspect, Test::WithWork(_)) => Outcome::Grows,
                (Verdict::Suspect, _) => Outcome::Suspect,
            };
            (verdict, judgement.per_cycle)
        }
    };
    Row { process: process.to_owned(), resource, series: series.clone(), judged, verdict, growth }
}

/// One point for each size of the work, the median, in their order: what is left by each piece of work shows as growth.
fn by_work(points: &[Point]) -> Vec<Point> {
    let mut points = points.to_vec();
    points.sort_by_key(|it| (it.at_ms, it.value));
    points.chunk_by(|a, b| a.at_ms == b.at_ms).map(|same| same[same.len() / 2]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::ledger::At;
    use r3e_monitor::verdict::Figure;

    fn verdict(test: Test, values: impl IntoIterator<Item = (i64, u64, u64)>) -> Outcome {
        let mut ledger = Ledger::default();
        for (cycle, (time, process, value)) in (0..).zip(values) {
            ledger.add("some", "tasks", test, At { cycle, time, process }, value);
        }
        rows(&ledger)[0].verdict
    }

    #[test]
    fn growth_is_that_of_the_last_process_after_its_warm_up() {
        let grows = Test::Growth(Figure::Tasks);
        assert_eq!(verdict(grows, (0..80_i64).map(|n| (n, 1, 2 * n.cast_unsigned()))), Outcome::Grows);
        assert_eq!(verdict(grows, (0..80).map(|n| (n, 1, 5))), Outcome::Flat);
        let restarted = (0..160_i64).map(|n| (n, u64::from(n > 80), if n > 80 { 5 } else { 2 * n.cast_unsigned() }));
        assert_eq!(verdict(grows, restarted), Outcome::Flat);
        assert_eq!(verdict(grows, (0..30_i64).map(|n| (n, 1, 2 * n.cast_unsigned()))), Outcome::TooFew);
    }

    #[test]
    fn what_each_piece_of_work_leaves_shows_in_the_order_of_its_size() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut work = || random.i64(0..60);
        let left = |per_board: u64| move |boards: i64| (boards, 0, 7 + per_board * boards.cast_unsigned());
        let works: Vec<i64> = (0..60).map(|_| work()).collect();
        assert_eq!(verdict(Test::WithWork(Figure::Descriptors), works.iter().copied().map(left(1))), Outcome::Grows);
        assert_eq!(verdict(Test::WithWork(Figure::Descriptors), works.iter().copied().map(left(0))), Outcome::Flat);
        // From night to night, it does not grow.
        let by_night = works.iter().zip(0..).map(|(&boards, night)| (night, 0, 7 + boards.cast_unsigned()));
        assert_eq!(verdict(Test::NightToNight(Figure::Descriptors), by_night), Outcome::Flat);
    }

    #[test]
    fn a_limit_holds_for_each_value() {
        assert_eq!(verdict(Test::Limit(1), [(0, 0, 1), (1, 0, 0)]), Outcome::Flat);
        assert_eq!(verdict(Test::Limit(1), [(0, 0, 1), (1, 0, 2), (2, 0, 0)]), Outcome::AboveLimit);
    }
}
