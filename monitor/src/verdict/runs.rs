//! Judges the runs of a job: each is a process of its own, so what grows from night to night is in the work, or leaks on disk.
//!
//! Runs of one kind (a program, and what it did) are compared, by what their records say of the end. Left out are runs that
//!
//! - were killed, failed or stopped, as these end at any height;
//! - fetched nothing, or less than half or more than twice as many boards as the median of the last [`MIN_RUNS`]: after the work has
//!   changed for good, the runs before that are soon left out.
//!
//! There is no warm-up, since each run has one of its own, and [`MIN_RUNS`] are enough for a leak. In return, a leak has to stand out:
//! growth from the first run to the last is at least seven standard deviations of the noise. Otherwise the method is that for
//! processes, used more than once: on the figures as recorded, and on the figures in proportion to each size of the work (boards fetched,
//! entries published). The mildest verdict counts. A figure depends on the size of the work in some way between not at all and
//! in proportion. If it grows with the work, it does not grow in proportion to it, and if it shrinks less than the work, it does not
//! grow as recorded. A leak does both, unless the work grows or shrinks faster.

use super::{Figure, Growth, Judgement, Moment, Point, Thresholds, judge_series, series::amount};

/// How many of the last runs of a kind are judged.
pub const JUDGED_RUNS: u32 = 60;

/// Number of comparable runs that a verdict thresholds.
pub const MIN_RUNS: usize = 8;

const RUNS: Thresholds = Thresholds { warm_up: 0, verdict: MIN_RUNS, leak: MIN_RUNS, noise: 7.0, power: 5.0 };

/// A finished run that did its work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Run {
    /// When it ended, and its figures then.
    pub end: Moment,
    /// How many boards it fetched.
    pub fetched: u64,
    /// How many entries it published; 0 if unknown.
    pub entries: u64,
}

/// Judges a figure of the runs of one kind, oldest first.
#[must_use]
pub fn judge_runs(figure: Figure, runs: &[Run]) -> Judgement {
    let runs = comparable(figure, runs);
    let judged = |work: fn(&Run) -> u64| judge_series(RUNS, figure, &in_proportion(figure, &runs, work), 0);
    let [recorded, by_fetched, by_entries] = [|_: &Run| 1, |it: &Run| it.fetched, |it: &Run| it.entries].map(judged);
    let mildest = [by_fetched, by_entries].into_iter().fold(recorded, milder);
    let visible = |of: fn(&Judgement) -> Option<Growth>| {
        [recorded, by_fetched, by_entries].iter().filter_map(of).map(|it| it.visible).fold(0.0, f64::max)
    };
    let (cycle, hour) = (visible(|it| it.per_cycle), visible(|it| it.per_hour));
    Judgement {
        per_cycle: mildest.per_cycle.map(|it| Growth { visible: cycle, ..it }),
        per_hour: mildest.per_hour.map(|it| Growth { visible: hour, ..it }),
        ..mildest
    }
}

/// The runs that know the figure, and fetched at least half and at most twice as many boards as the median of the last runs.
fn comparable(figure: Figure, runs: &[Run]) -> Vec<Run> {
    let mut runs = runs.to_vec();
    runs.retain(|it| it.fetched > 0 && it.end.figures.of(figure) > 0);
    let mut fetched: Vec<u64> = runs.iter().rev().take(MIN_RUNS).map(|it| it.fetched).collect();
    fetched.sort_unstable();
    if let Some(median) = fetched.get(fetched.len() / 2) {
        runs.retain(|it| it.fetched >= median.div_ceil(2) && it.fetched <= median.saturating_mul(2));
    }
    runs
}

/// The figure of each run, in proportion to the work of the last one. As recorded if the work of a run is not known.
fn in_proportion(figure: Figure, runs: &[Run], work: fn(&Run) -> u64) -> Vec<Point> {
    let last = runs.last().map_or(0, work);
    let is_known = runs.iter().all(|it| work(it) > 0);
    let scale = |it: &Run| if is_known { amount(last) / amount(work(it)) } else { 1.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not below 0, and saturates")]
    let scaled = |it: &Run| Point {
        value: (amount(it.end.figures.of(figure)) * scale(it)).round() as u64,
        ..it.end.point(figure)
    };
    runs.iter().map(scaled).collect()
}

/// The milder verdict; of equal ones that with less growth.
fn milder(one: Judgement, other: Judgement) -> Judgement {
    let growth = |it: &Judgement| it.per_cycle.map_or(0.0, |it| it.likely);
    let is_milder = (other.verdict, growth(&other)) < (one.verdict, growth(&one));
    if is_milder { other } else { one }
}
