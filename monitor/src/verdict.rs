//! Tells leaks from noise: pure functions of the samples of a process that were taken after purges ([`judge`]), and of the records of
//! a job's runs ([`judge_runs`], which documents the differences).
//!
//! Samples are taken after a purge, because that reduces the noise in `allocated` from 258 KiB to 23. The first [`WARM_UP`]
//! samples of a process are ignored. The tests use ranks, so that an outlier (one sample in twenty, taken with work in
//! flight) does not matter:
//!
//! - Growth is the Theil-Sen slope with its 95 % interval, per purge and per hour.
//! - It is significant by the Mann-Kendall test, with its variance corrected for autocorrelation, or by the slope relative
//!   to the residuals, also corrected. The second test is for series so clear that the first saturates: a straight line
//!   with one small step has highly correlated residuals, which inflate the variance too much.
//! - From the first sample to the last it is at least a floor: 352 KB allocated, 3 MB resident or peak (fragmentation alone moves resident
//!   memory by more than 2 MB while a 4 MB cache fills and sheds), 20 of what is counted.
//!
//! Growth that is not significant or below the floor is `flat`, and so is growth that has stopped in the later half. Other
//! growth is `suspect`, and it is a `leak` if
//!
//! - there are [`MIN_SAMPLES_FOR_LEAK`] samples: a cache that fills in some dozens of cycles looks the same for as long, and a random
//!   walk may end a few turns higher than before;
//! - each half grows by at least a third of the other and of the whole: a cache fills ever more slowly, and a step is not a
//!   leak;
//! - the lower end of the interval amounts to at least half the floor;
//! - the last third, except its lowest quarter, lies above 85 % of the samples before the later half, including half of the warm-up:
//!   what wanders within bounds has been as high before and falls back, a leak does not;
//! - all of this was already true two samples ago.
//!
//! With a purge every 2 minutes (`memory.purge_every`), a process has its verdict after 64 minutes, and a leak after 100 at the
//! earliest. Of a day of samples the medians of neighbours are judged, so a slow leak shows as it would with fewer purges.
//!
//! The thresholds come from `cargo bench --package r3e-tests --bench verdict`, which measures real processes and prints the rates. Known
//! false alarms: a cache that takes more than 60 purges (two hours) to fill, until it is full; occasionally one that fills for about 24
//! purges and then sheds. A leak below the floor is not seen, so each verdict tells the smallest growth that would have been.

mod figure;
mod runs;
mod series;
#[cfg(test)]
mod tests;
mod trend;

use serde::Serialize;

pub use figure::{Figure, Figures, Moment};
pub use runs::{JUDGED_RUNS, MIN_RUNS, Run, judge_runs};
pub use series::Point;

use series::{Judged, each, rose};
use trend::Trend;

/// How many of the last samples of a process are judged by default: a day with a purge every 2 minutes. With more, a leak that began
/// late would show later.
pub const JUDGED: u32 = 720;

/// Number of samples in the warm-up of a process, while caches fill and pools open.
pub const WARM_UP: usize = 20;

/// Number of samples after the warm-up that a verdict needs.
pub const MIN_SAMPLES: usize = 12;

/// Number of samples after the warm-up that a leak needs. With fewer, growth is suspect at most.
pub const MIN_SAMPLES_FOR_LEAK: usize = 30;

/// What a series and its growth have to reach.
#[derive(Debug, Clone, Copy)]
struct Thresholds {
    /// Ignored at the beginning.
    warm_up: usize,
    /// For a verdict.
    verdict: usize,
    /// For a leak.
    leak: usize,
    /// Of a leak: growth from the first point to the last, in standard deviations of the noise around it.
    noise: f64,
    /// What growth has to exceed the thresholds by, in standard deviations of the slope, to be found in most cases.
    power: f64,
}

/// Of samples after purges.
const SAMPLES: Thresholds =
    Thresholds { warm_up: WARM_UP, verdict: MIN_SAMPLES, leak: MIN_SAMPLES_FOR_LEAK, noise: 0.0, power: 2.6 };

/// Standard deviations from which growth is suspect, and from which it is a leak, by the clearer of the two tests.
const SUSPECT_Z: f64 = 2.33;
const LEAK_Z: f64 = 2.58;

/// Growth, in standard deviations of the noise, from which [`rose`] mostly holds, by simulation.
const ROSE: f64 = 4.0;

/// Each half of a leak grows by at least this share of the other half, and of the whole.
const LASTING: f64 = 0.33;

/// A leak also shows without this many of the last points.
const CONFIRMED_BEFORE: usize = 2;

#[expect(missing_docs, reason = "see the module")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    #[serde(rename = "too few samples")]
    TooFewSamples,
    Flat,
    Suspect,
    Leak,
}

impl Verdict {
    /// The name in text and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TooFewSamples => "too few samples",
            Self::Flat => "flat",
            Self::Suspect => "suspect",
            Self::Leak => "leak",
        }
    }
}

/// Growth, with its 95 % interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Growth {
    /// The most likely value.
    pub likely: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// The smallest growth that would have been called a leak: in about nine of ten cases, by simulation, where there are enough samples
    /// for a leak; in eight of ten with the fewest.
    pub visible: f64,
}

/// The verdict on one figure of a process or of a job's runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Judgement {
    /// The figure.
    pub figure: Figure,
    /// The verdict.
    pub verdict: Verdict,
    /// Number of samples or runs that were judged, without the warm-up.
    pub samples: usize,
    /// Growth per purge or run. `None` if there are too few samples.
    pub per_cycle: Option<Growth>,
    /// Growth per hour. `None` if there are too few samples.
    pub per_hour: Option<Growth>,
}

/// Judges a figure of one process by its samples after purges, oldest first. `earlier` samples before these count as warm-up.
#[must_use]
pub fn judge(figure: Figure, samples: &[Point], earlier: usize) -> Judgement {
    judge_series(SAMPLES, figure, samples, earlier)
}

fn judge_series(thresholds: Thresholds, figure: Figure, samples: &[Point], earlier: usize) -> Judgement {
    let after_warm_up = samples.get(thresholds.warm_up.saturating_sub(earlier)..).unwrap_or_default();
    let too_few = Judgement {
        figure,
        verdict: Verdict::TooFewSamples,
        samples: after_warm_up.len(),
        per_cycle: None,
        per_hour: None,
    };
    if after_warm_up.len() < thresholds.verdict {
        return too_few;
    }
    let judged = Judged::new(after_warm_up);
    let earlier_samples = &after_warm_up[..after_warm_up.len() - CONFIRMED_BEFORE];
    let before = Judged::new(earlier_samples);
    let (Some(cycles), Some(hours), Some(cycles_before)) =
        (Trend::of(&judged.by_cycle), Trend::of(&judged.by_hour), Trend::of(&before.by_cycle))
    else {
        return too_few;
    };
    let before = (&before, &cycles_before);
    let visible = visible(thresholds, figure, earlier_samples, before);
    // A clock that was set back may leave no time between them.
    let cycles_an_hour = if judged.hours() > 0.0 { judged.cycles() / judged.hours() } else { 0.0 };
    let growth =
        |trend: &Trend, visible: f64| Growth { likely: trend.slope, low: trend.low, high: trend.high, visible };
    Judgement {
        verdict: confirmed(thresholds, figure, samples, after_warm_up.len(), (&judged, &cycles), before),
        per_cycle: Some(growth(&cycles, visible)),
        per_hour: Some(growth(&hours, visible * cycles_an_hour)),
        ..too_few
    }
}

/// See [`Growth::visible`], per purge or run: above every threshold, also without the last points, by so much that noise rarely hides it.
fn visible(thresholds: Thresholds, figure: Figure, samples: &[Point], (judged, trend): (&Judged, &Trend)) -> f64 {
    let noise = (thresholds.noise * trend.noise).max(ROSE * trend::residual_deviation(&each(samples), trend.slope));
    let threshold = figure.floor().max(noise) / judged.cycles();
    let deviation = trend.deviation();
    (LEAK_Z * deviation).max(threshold) + thresholds.power * deviation
}

/// The verdict by the `last` `count` samples. A leak must have shown `before`, too: one look at a random walk may mislead, two less often.
fn confirmed(
    thresholds: Thresholds,
    figure: Figure,
    samples: &[Point],
    count: usize,
    last: (&Judged, &Trend),
    before: (&Judged, &Trend),
) -> Verdict {
    let showed = || {
        let (samples, count) = (&samples[..samples.len() - CONFIRMED_BEFORE], count - CONFIRMED_BEFORE);
        verdict(thresholds, figure, samples, count, before) == Verdict::Leak
    };
    match verdict(thresholds, figure, samples, count, last) {
        Verdict::Leak if count < thresholds.leak || !showed() => Verdict::Suspect,
        seen => seen,
    }
}

/// The verdict by the last `count` samples alone.
fn verdict(
    thresholds: Thresholds,
    figure: Figure,
    samples: &[Point],
    count: usize,
    (judged, whole): (&Judged, &Trend),
) -> Verdict {
    let (span, floor) = (judged.cycles(), figure.floor());
    let clear = whole.z.max(whole.ratio);
    if clear < SUSPECT_Z || whole.slope * span < floor {
        return Verdict::Flat;
    }
    let [Some(earlier), Some(later)] = judged.halves().map(Trend::of) else { return Verdict::Suspect };
    if later.slope <= 0.0 {
        // The growth has ended.
        return Verdict::Flat;
    }
    let lasts = [(earlier.slope, whole.slope), (later.slope, whole.slope), (later.slope, earlier.slope)]
        .into_iter()
        .all(|(half, other)| half >= LASTING * other);
    let certain =
        clear >= LEAK_Z && whole.low * span >= floor / 2.0 && whole.slope * span >= thresholds.noise * whole.noise;
    if lasts && certain && rose(samples, count) { Verdict::Leak } else { Verdict::Suspect }
}
