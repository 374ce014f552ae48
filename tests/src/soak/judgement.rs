//! The verdict on each series, by the statistics of the monitor's verdict.

use std::fmt;

use r3e_monitor::verdict::{Growth, JUDGED_RUNS, Judgement, Point, Run, Verdict, WARM_UP, judge, judge_runs};

use super::measurements::{Criterion, Measurements, Series};

/// The verdict on one resource of one process.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// The process: a daemon, a kind of job, or a folder.
    pub(super) process: String,
    /// The resource.
    pub(super) resource: &'static str,
    /// What was measured.
    pub(super) series: Series,
    /// How many points were judged.
    pub(super) judged: usize,
    /// The first and the last value of those among which they are.
    pub(super) ends: [u64; 2],
    /// The verdict.
    pub(super) verdict: Outcome,
    /// Growth per cycle, per run, or per size of the work in their order. `None` if there are too few points, or with a limit.
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
    /// Whether it has grown for sure.
    #[must_use]
    pub(super) fn has_grown(&self) -> bool {
        matches!(self.verdict, Outcome::Grows | Outcome::AboveLimit)
    }

    /// Whether the soak has failed for it: it grows, or nobody knows whether a daemon or a folder does.
    #[must_use]
    pub(super) fn has_failed(&self) -> bool {
        let is_unknown = self.verdict == Outcome::TooFew && matches!(self.series.criterion, Criterion::Growth(_));
        self.has_grown() || is_unknown
    }
}

/// Judges all series.
#[must_use]
pub(super) fn rows(Measurements { series, runs }: Measurements) -> Vec<Row> {
    let row = |((process, resource), series)| {
        let runs = runs.get(&process).map_or(&[][..], Vec::as_slice);
        row(process, resource, series, runs)
    };
    series.into_iter().map(row).collect()
}

fn row(process: String, resource: &'static str, series: Series, runs: &[Run]) -> Row {
    let points = match series.criterion {
        Criterion::Growth(_) => series.current_process().iter().skip(WARM_UP).copied().collect(),
        Criterion::WithWork(_) => by_work(&series.points),
        Criterion::Runs(_) | Criterion::Limit(_) => series.points.clone(),
    };
    let (judged, verdict, growth) = match series.criterion {
        Criterion::Limit(limit) => (points.len(), within(limit, &points), None),
        Criterion::Growth(figure) | Criterion::WithWork(figure) => {
            // The warm-up is over, or there is none.
            outcome(series.criterion, &judge(figure, &points, WARM_UP))
        }
        Criterion::Runs(figure) => {
            let last = &runs[runs.len().saturating_sub(JUDGED_RUNS as usize)..];
            outcome(series.criterion, &judge_runs(figure, last))
        }
    };
    let ends = [points.first(), points.last()].map(|it| it.map_or(0, |it| it.value));
    Row { process, resource, series, judged, ends, verdict, growth }
}

fn within(limit: u64, points: &[Point]) -> Outcome {
    match points.iter().map(|it| it.value).max() {
        None => Outcome::TooFew,
        Some(highest) if highest > limit => Outcome::AboveLimit,
        Some(_) => Outcome::Flat,
    }
}

fn outcome(criterion: Criterion, judgement: &Judgement) -> (usize, Outcome, Option<Growth>) {
    let outcome = match (judgement.verdict, criterion) {
        (Verdict::TooFewSamples, _) => Outcome::TooFew,
        (Verdict::Flat, _) => Outcome::Flat,
        // What a verdict waits for is whether growth lasts, which has no meaning in the order of the size of the work.
        (Verdict::Leak, _) | (Verdict::Suspect, Criterion::WithWork(_)) => Outcome::Grows,
        (Verdict::Suspect, _) => Outcome::Suspect,
    };
    (judgement.samples, outcome, judgement.per_cycle)
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
    use crate::soak::measurements::Key;
    use r3e_monitor::verdict::{Figure, Figures, MIN_RUNS, Moment};

    /// The only row of a series, given the process, the place and the value of each point.
    fn row(criterion: Criterion, values: impl IntoIterator<Item = (u64, u64, u64)>) -> Row {
        let mut measurements = Measurements::default();
        for (process, x, value) in values {
            measurements.add("some", "tasks", criterion, Key { x, process }, value);
        }
        rows(measurements).remove(0)
    }

    #[test]
    fn growth_is_that_of_the_last_process_after_its_warm_up() {
        let verdict = |values: &mut dyn Iterator<Item = (u64, u64, u64)>| {
            let row = row(Criterion::Growth(Figure::Tasks), values);
            (row.verdict, row.has_failed())
        };
        assert_eq!(verdict(&mut (0..80).map(|n| (1, n, 2 * n))), (Outcome::Grows, true));
        assert_eq!(verdict(&mut (0..80).map(|n| (1, n, 5))), (Outcome::Flat, false));
        let restarted = |n| (u64::from(n > 80), n, if n > 80 { 5 } else { 2 * n });
        assert_eq!(verdict(&mut (0..160).map(restarted)), (Outcome::Flat, false));
        // A run that is too short has shown nothing.
        assert_eq!(verdict(&mut (0..30).map(|n| (1, n, 5))), (Outcome::TooFew, true));
    }

    #[test]
    fn what_each_piece_of_work_leaves_shows_in_the_order_of_its_size() {
        let mut random = fastrand::Rng::with_seed(5);
        let works: Vec<u64> = (0..60).map(|_| random.u64(0..60)).collect();
        let verdict = |per_board: u64| {
            let left = |boards: &u64| (0, *boards, 7 + per_board * boards);
            row(Criterion::WithWork(Figure::Descriptors), works.iter().map(left)).verdict
        };
        assert_eq!([verdict(1), verdict(0)], [Outcome::Grows, Outcome::Flat]);
    }

    #[test]
    fn runs_are_judged_by_the_rule_of_the_monitor() {
        let verdict = |runs: usize, per_run: u64| {
            let mut measurements = Measurements::default();
            for night in 0..runs as u64 {
                let figures = Figures::from_array([(50 << 20) + night * per_run, 0, 0, 0, 0, 0]);
                let end = Moment { at_ms: night.cast_signed(), figures };
                measurements.runs.entry("some".to_owned()).or_default().push(Run { end, fetched: 9, entries: 90 });
                let value = figures.of(Figure::Allocated);
                measurements.add(
                    "some",
                    "allocated",
                    Criterion::Runs(Figure::Allocated),
                    Key { x: night, process: 0 },
                    value,
                );
            }
            let row = rows(measurements).remove(0);
            (row.verdict, row.has_failed())
        };
        assert_eq!(verdict(MIN_RUNS, 1 << 20), (Outcome::Grows, true));
        assert_eq!(verdict(MIN_RUNS, 0), (Outcome::Flat, false));
        // Not each kind of job runs often enough in a short soak.
        assert_eq!(verdict(MIN_RUNS - 1, 1 << 20), (Outcome::TooFew, false));
    }

    #[test]
    fn a_limit_holds_for_each_value() {
        let verdict = |values: &[u64]| row(Criterion::Limit(1), (0..).zip(values).map(|(n, it)| (0, n, *it))).verdict;
        assert_eq!(verdict(&[1, 0]), Outcome::Flat);
        assert_eq!(verdict(&[1, 2, 0]), Outcome::AboveLimit);
        assert_eq!(within(1, &[]), Outcome::TooFew);
    }
}
