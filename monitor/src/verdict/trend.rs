//! The trend of a series: the Theil-Sen slope with its interval, and the Mann-Kendall test, corrected for autocorrelation.
//!
//! Sen, 1968: the slope is the median of the slopes of all pairs. Kendall, 1975: variance with ties. Yue and Wang, 2004: the variance
//! is inflated by the autocorrelation of the residuals; here it is computed from ranks, corrected for short series (Marriott and Pope,
//! 1954), and never narrows the interval.

use super::series::{Spot, amount};

/// For an interval of 95 %.
const INTERVAL_Z: f64 = 1.96;

/// Standard deviation of a normal distribution relative to its median absolute deviation.
const MAD_TO_DEVIATION: f64 = 1.4826;

/// Stands for the ratio of a slope without any residual.
const CERTAIN: f64 = 1000.0;

/// Residuals are compared to this fraction of a unit, as smaller differences are rounding errors.
const PRECISION: f64 = 1024.0;

/// Upper bound of the correlation: with more, no trend could be told anyway.
const MAX_CORRELATION: f64 = 0.95;

/// The growth of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trend {
    /// The Theil-Sen slope.
    pub(super) slope: f64,
    /// Lower end of its interval.
    pub(super) low: f64,
    /// Upper end of its interval.
    pub(super) high: f64,
    /// The Mann-Kendall statistic: standard deviations from no trend, positive for growth.
    pub(super) z: f64,
    /// The slope in standard deviations, by the residuals.
    pub(super) ratio: f64,
    /// The standard deviation of the residuals, corrected for short series.
    pub(super) noise: f64,
}

impl Trend {
    /// The trend of points in order of time. `None` for less than three, or if all have the same time.
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
        let variance_inflation = variance_inflation(spots, slope);
        let deviation = (variance(spots) * variance_inflation).sqrt();
        let z = if deviation > 0.0 { (sum - sign(sum)) / deviation } else { 0.0 };
        let (mut low, mut high) = interval(&slopes, INTERVAL_Z * deviation);
        let spread = residual_deviation(spots, slope);
        let beside = slope_deviation(spots, spread * variance_inflation.sqrt());
        let noise = spread * small_sample_factor(spots.len());
        // With a large variance the ranks reach the ends of the list, where a few outliers decide.
        if beside > 0.0 {
            low = low.max(slope - INTERVAL_Z * beside);
            high = high.min(slope + INTERVAL_Z * beside);
        }
        let ratio = if beside > 0.0 { slope / beside } else { sign(slope) * CERTAIN };
        Some(Self { slope, low, high, z, ratio, noise })
    }

    /// The standard deviation of the slope.
    pub(super) fn deviation(&self) -> f64 {
        (self.high - self.low) / 2.0 / INTERVAL_Z
    }
}

fn sign(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number.signum() }
}

fn median(sorted: &[f64]) -> f64 {
    let (below, above) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    below.midpoint(above)
}

/// The slopes at that distance from the middle, by rank.
fn interval(sorted: &[f64], width: f64) -> (f64, f64) {
    let most = sorted.len() - 1;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank; what is below 0 becomes 0")]
    let rank = |place: f64| (place as usize).min(most);
    let count = amount(sorted.len() as u64);
    let (middle, aside) = (count / 2.0, width / 2.0);
    (sorted[rank((middle - aside).floor())], sorted[rank((middle + aside).ceil())])
}

/// The variance of the Mann-Kendall sum without a trend, with ties.
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

/// The standard deviation of the residuals.
pub(super) fn residual_deviation(spots: &[Spot], slope: f64) -> f64 {
    let sorted = |mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let left = sorted(spots.iter().map(|it| it.1 - slope * it.0).collect());
    let middle = median(&left);
    MAD_TO_DEVIATION * median(&sorted(left.into_iter().map(|it| (it - middle).abs()).collect()))
}

/// The factor by which short series look less spread than they are: for the bias of the median absolute deviation, two fitted
/// parameters, and Student's distribution together (1.6 for eight points, 1.08 for forty).
fn small_sample_factor(points: usize) -> f64 {
    let count = amount(points as u64);
    count / (count - 3.0).max(1.0)
}

/// The standard deviation of the slope, by that of the residuals. The Mann-Kendall test cannot show a clear trend: its sum is bounded,
/// and even tiny correlated residuals inflate its variance.
fn slope_deviation(spots: &[Spot], noise: f64) -> f64 {
    let center = spots.iter().map(|it| it.0).sum::<f64>() / amount(spots.len() as u64);
    let squares: f64 = spots.iter().map(|it| (it.0 - center).powi(2)).sum();
    noise / squares.sqrt()
}

/// The factor by which autocorrelation inflates the variance, at least 1.
fn variance_inflation(spots: &[Spot], slope: f64) -> f64 {
    let left: Vec<f64> = spots.iter().map(|it| ((it.1 - slope * it.0) * PRECISION).round()).collect();
    let ranks = ranks(&left);
    let n = amount(ranks.len() as u64);
    let significant = INTERVAL_Z / n.sqrt();
    let (mut summed, mut of_first_order) = (1.0, 1.0);
    for lag in 1..=ranks.len() / 3 {
        let correlation = autocorrelation(&ranks, lag);
        if correlation <= significant {
            break;
        }
        // Short series look less correlated than they are.
        let corrected = ((n * correlation + 2.0) / (n - 4.0).max(1.0)).min(MAX_CORRELATION);
        if lag == 1 {
            of_first_order = (1.0 + corrected) / (1.0 - corrected);
        }
        summed += 2.0 * (1.0 - amount(lag as u64) / n) * corrected;
    }
    summed.max(of_first_order)
}

/// Ranks around zero. Equal values share the average of their ranks.
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

/// The autocorrelation at a lag.
fn autocorrelation(ranks: &[f64], lag: usize) -> f64 {
    let all: f64 = ranks.iter().map(|it| it * it).sum();
    let shifted: f64 = ranks.iter().zip(&ranks[lag..]).map(|(a, b)| a * b).sum();
    if all > 0.0 { shifted / all } else { 0.0 }
}
