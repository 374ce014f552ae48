//! A series as it is judged: bounded in length, by cycle and by hour.

/// One sample of one figure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Point {
    /// In milliseconds since 1970.
    pub at_ms: i64,
    /// How much it was.
    pub value: u64,
}

/// So many points are compared with each other at most: 7,140 pairs. A longer series is made of the medians of neighbours.
const MOST: usize = 120;

const HOUR_MS: f64 = 3_600_000.0;

/// A place on the line of time, and how much there was.
pub(super) type Spot = (f64, f64);

/// The points that are compared.
#[derive(Debug)]
pub(super) struct Judged {
    /// By number of the cycle.
    pub(super) by_cycle: Vec<Spot>,
    /// By hours since the first.
    pub(super) by_hour: Vec<Spot>,
}

impl Judged {
    /// Of all samples. Values are told from the least of them, so that where a series lies changes nothing.
    pub(super) fn new(samples: &[Point]) -> Self {
        let least = samples.iter().map(|it| it.value).min().unwrap_or_default();
        let first_ms = samples.first().map_or(0, |it| it.at_ms);
        let at_once = samples.len().div_ceil(MOST).max(1);
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

    /// How many cycles lie between the first and the last.
    pub(super) fn cycles(&self) -> f64 {
        span(&self.by_cycle)
    }

    /// How many hours lie between the first and the last.
    pub(super) fn hours(&self) -> f64 {
        span(&self.by_hour)
    }

    /// The earlier and the later half, by cycle.
    pub(super) fn halves(&self) -> [&[Spot]; 2] {
        let (earlier, later) = self.by_cycle.split_at(self.by_cycle.len() / 2);
        [earlier, later]
    }
}

/// What rose lies above so many of a hundred samples before.
const ABOVE: usize = 85;

/// Whether the last third of those that are judged, which are the last of all samples, lies above what there was before their
/// later half, some of the warm-up included: what wanders within bounds has been as high before. Its lower quartile is asked,
/// because what wanders falls back, also from a height that it never had before. Work in flight only adds, so that it does not
/// lower that quartile.
pub(super) fn rose(samples: &[Point], judged: usize) -> bool {
    let warm_up = samples.len() - judged;
    let before = &samples[warm_up / 2..warm_up + judged / 2];
    let mut last: Vec<u64> = samples[samples.len() - judged / 3..].iter().map(|it| it.value).collect();
    last.sort_unstable();
    let Some(low) = last.get(last.len() / 4) else { return false };
    let below = before.iter().filter(|it| it.value < *low).count();
    below * 100 >= before.len() * ABOVE
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
