//! The trend of a series: Theil and Sen's slope with its interval, and the test of Mann and Kendall, its variance widened for
//! series in which each value depends on the one before.
//!
//! Sen, 1968: the slope is the median of the slopes of all pairs. Kendall, 1975: variance with ties. Yue and Wang, 2004: the
//! variance is widened by the autocorrelation of what is left when the slope is taken away; it is taken from ranks here,
//! corrected for the shortness of the series (Marriott and Pope, 1954), and never narrows the interval.

use super::series::{Spot, amount};

/// Of 100 intervals 95 hold the slope.
const INTERVAL_Z: f64 = 1.96;

/// Of 100 slopes that are so far above what can be told from noise, 95 are told.
const POWER_Z: f64 = 1.645;

/// Of a normal distribution: its standard deviation by the median distance from its middle.
const SPREAD: f64 = 1.4826;

/// So many standard deviations are told where there is no deviation at all.
const CERTAIN: f64 = 1000.0;

/// Residuals that differ by less than this share of a unit are the same: it is the arithmetic.
const SAME: f64 = 1024.0;

/// More correlated than this nothing is taken to be: what wanders as much has no trend that could be told anyway.
const MOST_CORRELATED: f64 = 0.95;

/// How a series grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trend {
    /// Theil and Sen's slope.
    pub(super) slope: f64,
    /// The lower end of its interval.
    pub(super) low: f64,
    /// The upper end.
    pub(super) high: f64,
    /// The statistic of Mann and Kendall: how many standard deviations from no trend, above zero for growth.
    pub(super) z: f64,
    /// How many standard deviations the slope is from none, by how far the values lie from the line.
    pub(super) ratio: f64,
}

impl Trend {
    /// Of points in the order of time; none of less than three, or where all are of one moment.
    pub(super) fn of(spots: &[Spot]) -> Option<Self> {
        if spots.len() < 3 {
            return None;
        }
        let mut slopes = Vec::with_capacity(spots.len() * (spots.len() - 1) / 2);
        let mut sum = 0.0;
        for (number, first) in spots.iter().enumerate() {
            for second in &spots[number + 1..] {
                let (run, rise) = (second.0 - first.0, second.1 - first.1);
                sum += sign(rise);
                if run > 0.0 {
                    slopes.push(rise / run);
                }
            }
        }
        if slopes.is_empty() {
            return None;
        }
        slopes.sort_unstable_by(f64::total_cmp);
        let slope = median(&slopes);
        let widening = widening(spots, slope);
        let deviation = (variance(spots) * widening).sqrt();
        let z = if deviation > 0.0 { (sum - sign(sum)) / deviation } else { 0.0 };
        let (mut low, mut high) = interval(&slopes, INTERVAL_Z * deviation);
        let beside = deviation_beside(spots, slope, widening);
        // The wider the variance, the sooner the ranks come to their end: a few values far off then make all of it.
        if beside > 0.0 {
            low = low.max(slope - INTERVAL_Z * beside);
            high = high.min(slope + INTERVAL_Z * beside);
        }
        let ratio = if beside > 0.0 { slope / beside } else { sign(slope) * CERTAIN };
        Some(Self { slope, low, high, z, ratio })
    }

    /// The smallest slope that would have been seen in this noise, where `z` is asked for.
    pub(super) fn visible(&self, z: f64) -> f64 {
        let deviation = (self.high - self.low) / 2.0 / INTERVAL_Z;
        deviation * (z + POWER_Z)
    }
}

fn sign(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number.signum() }
}

fn median(sorted: &[f64]) -> f64 {
    let (below, above) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    below.midpoint(above)
}

/// The slopes that lie so far from the middle, by rank.
fn interval(sorted: &[f64], width: f64) -> (f64, f64) {
    let most = sorted.len() - 1;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank; what is below 0 becomes 0")]
    let rank = |place: f64| (place as usize).min(most);
    let count = amount(sorted.len() as u64);
    let (middle, aside) = (count / 2.0, width / 2.0);
    (sorted[rank((middle - aside).floor())], sorted[rank((middle + aside).ceil())])
}

/// The variance of Mann and Kendall's sum where there is no trend, with ties.
fn variance(spots: &[Spot]) -> f64 {
    let part = |count: usize| {
        let n = amount(count as u64);
        n * (n - 1.0) * (2.0 * n + 5.0)
    };
    let mut values: Vec<f64> = spots.iter().map(|it| it.1).collect();
    values.sort_unstable_by(f64::total_cmp);
    let ties: f64 = values.chunk_by(|a, b| a.total_cmp(b).is_eq()).map(|tied| part(tied.len())).sum();
    (part(values.len()) - ties) / 18.0
}

/// The standard deviation of the slope, by how far the values lie from the line. Where a trend is clear the test of Mann and
/// Kendall cannot say so: its sum has an end, and what is left beside the line widens its variance however little that is.
fn deviation_beside(spots: &[Spot], slope: f64, widening: f64) -> f64 {
    let absolute = |middle: f64| move |it: f64| (it - middle).abs();
    let sorted = |values: Vec<f64>| {
        let mut values = values;
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let left = sorted(spots.iter().map(|it| it.1 - slope * it.0).collect());
    let middle = median(&left);
    let spread = SPREAD * median(&sorted(left.into_iter().map(absolute(middle)).collect()));
    let center = spots.iter().map(|it| it.0).sum::<f64>() / amount(spots.len() as u64);
    let squares: f64 = spots.iter().map(|it| (it.0 - center).powi(2)).sum();
    spread * (widening / squares).sqrt()
}

/// How much wider the variance is for autocorrelation; never less than 1.
fn widening(spots: &[Spot], slope: f64) -> f64 {
    let left: Vec<f64> = spots.iter().map(|it| ((it.1 - slope * it.0) * SAME).round()).collect();
    let ranks = ranks(&left);
    let n = amount(ranks.len() as u64);
    let significant = INTERVAL_Z / n.sqrt();
    let (mut summed, mut of_first_order) = (1.0, 1.0);
    for lag in 1..=ranks.len() / 3 {
        let correlation = autocorrelation(&ranks, lag);
        if correlation <= significant {
            break;
        }
        // A short series looks less correlated than it is.
        let corrected = ((n * correlation + 2.0) / (n - 4.0).max(1.0)).min(MOST_CORRELATED);
        if lag == 1 {
            of_first_order = (1.0 + corrected) / (1.0 - corrected);
        }
        summed += 2.0 * (1.0 - amount(lag as u64) / n) * corrected;
    }
    summed.max(of_first_order)
}

/// The ranks, those of equal values averaged, around zero.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let middle = amount(values.len() as u64 - 1) / 2.0;
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|a, b| values[*a].total_cmp(&values[*b]).is_eq()) {
        let rank = amount(before) + amount(tied.len() as u64 - 1) / 2.0;
        for place in tied {
            ranks[*place] = rank - middle;
        }
        before += tied.len() as u64;
    }
    ranks
}

/// How much each is like the one `lag` places before it.
fn autocorrelation(ranks: &[f64], lag: usize) -> f64 {
    let all: f64 = ranks.iter().map(|it| it * it).sum();
    let shifted: f64 = ranks.iter().zip(&ranks[lag..]).map(|(a, b)| a * b).sum();
    if all > 0.0 { shifted / all } else { 0.0 }
}
