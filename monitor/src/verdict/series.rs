//! A series as it is judged: with a bounded number of points, by cycle and by hour.

/// One sample of one figure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Point {
    /// In milliseconds since 1970.
    pub at_ms: i64,
    /// The value.
    pub value: u64,
}

/// Upper bound of the points, which make 7,140 pairs. Longer series are reduced to the medians of neighbours.
const MAX_POINTS: usize = 120;

const HOUR_MS: f64 = 3_600_000.0;

/// A time and a value.
pub(super) type Spot = (f64, f64);

/// The points of a series.
#[derive(Debug)]
pub(super) struct Judged {
    /// Time is the number of the cycle.
    pub(super) by_cycle: Vec<Spot>,
    /// Time is in hours since the first point.
    pub(super) by_hour: Vec<Spot>,
}

impl Judged {
    /// Values are relative to the smallest one, so that an offset changes nothing.
    pub(super) fn new(samples: &[Point]) -> Self {
        Self::reduced(samples, samples.len().div_ceil(MAX_POINTS).max(1))
    }

    /// The medians of so many neighbours each.
    fn reduced(samples: &[Point], at_once: usize) -> Self {
        let least = samples.iter().map(|it| it.value).min().unwrap_or_default();
        let first_ms = samples.first().map_or(0, |it| it.at_ms);
        let (mut by_cycle, mut by_hour) = (Vec::new(), Vec::new());
        for (number, block) in samples.chunks(at_once).enumerate() {
            let mut values: Vec<u64> = block.iter().map(|it| it.value).collect();
            values.sort_unstable();
            let value = amount(values[(values.len() - 1) / 2] - least);
            let middle = (block.len() - 1) / 2;
            by_cycle.push((amount((number * at_once + middle) as u64), value));
            by_hour.push((
                amount(u64::try_from(block[middle].at_ms.saturating_sub(first_ms)).unwrap_or(0)) / HOUR_MS,
                value,
            ));
        }
        Self { by_cycle, by_hour }
    }

    /// Number of cycles from the first point to the last.
    pub(super) fn cycles(&self) -> f64 {
        span(&self.by_cycle)
    }

    /// Number of hours from the first point to the last.
    pub(super) fn hours(&self) -> f64 {
        span(&self.by_hour)
    }

    /// The earlier and the later half, by cycle.
    pub(super) fn halves(&self) -> [&[Spot]; 2] {
        let (earlier, later) = self.by_cycle.split_at(self.by_cycle.len() / 2);
        [earlier, later]
    }
}

/// All points, by cycle.
pub(super) fn each(samples: &[Point]) -> Vec<Spot> {
    Judged::reduced(samples, 1).by_cycle
}

/// See [`rose`].
const ABOVE_PERCENT: usize = 85;

/// Whether the last third of the `judged` last samples lies above 85 % of those before their later half, part of the warm-up included:
/// what wanders within bounds has been as high before. The last third counts by its lower quartile, because what wanders falls back,
/// even from a new height. Work in flight only adds, so it does not lower the quartile.
pub(super) fn rose(samples: &[Point], judged: usize) -> bool {
    let warm_up = samples.len() - judged;
    let before = &samples[warm_up / 2..warm_up + judged / 2];
    let mut last: Vec<u64> = samples[samples.len() - judged / 3..].iter().map(|it| it.value).collect();
    last.sort_unstable();
    let Some(low) = last.get(last.len() / 4) else { return false };
    let below = before.iter().filter(|it| it.value < *low).count();
    below * 100 >= before.len() * ABOVE_PERCENT
}

fn span(spots: &[Spot]) -> f64 {
    match (spots.first(), spots.last()) {
        (Some(first), Some(last)) => last.0 - first.0,
        _ => 0.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53, and near enough above")]
pub(super) fn amount(whole: u64) -> f64 {
    whole as f64
}
