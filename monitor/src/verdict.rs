//! Leak or noise: one function over what a process held after its purges. Nothing here reads or writes anything.
//!
//! Purges come first: what the allocator merely holds free is then given back, and of `allocated` only 23 KiB of noise is left
//! where it was 258. A process's first [`WARM_UP`] samples are dropped. The others are judged by rank, so that one in twenty
//! with work in flight changes nothing:
//!
//! - Growth is Theil and Sen's slope, with its interval of 95 %, from one purge to the next and by the hour.
//! - It is significant by the test of Mann and Kendall, its variance widened for autocorrelation, or by the slope against
//!   how far the values lie from it, widened as well. The second is for series so clear that the first comes to its end: a
//!   straight line with one small step in it is highly correlated beside its slope, which widens the first beyond use.
//! - From the first sample to the last it is at least a floor: 352 KB allocated, 3 MB resident (fragmentation moves that for
//!   long: by more than 2 where a cache of 4 MB fills and sheds), 20 of what is counted.
//!
//! Less than that is `flat`, as is growth that has come to its end: with no growth in the later half. More is `suspect`, and
//! a `leak` where
//!
//! - there are [`FEWEST_FOR_LEAK`] samples: a cache that fills in some dozens of cycles looks the same for as long, and of
//!   what wanders a few turns may each end higher than the one before;
//! - both halves grow by a third of the other and of the whole at least: a cache that fills grows ever slower, and a step is
//!   no growth;
//! - the interval's lower end makes half the floor;
//! - the last third but for its lowest quarter lies above 85 % of what there was before the later half, half of the warm-up
//!   included: what wanders within bounds has been as high before, and falls back to where it was, while what leaks does not;
//! - all of that was so two samples before, too.
//!
//! Thresholds were chosen by what `cargo bench --package r3e-tests --bench verdict` measures on real processes; that prints
//! the rates. What it cannot tell from a leak is a cache that takes more than sixty purges to its bound, as long as it does,
//! and not always one that fills for two dozen purges before it sheds. What leaks less than the floor in the samples at hand
//! is not seen, which is why the smallest growth that could have been seen is told with each verdict.

mod figure;
mod series;
#[cfg(test)]
mod tests;
mod trend;

use serde::Serialize;

pub use figure::{Figure, Figures, Moment};
pub use series::Point;

use series::{Judged, rose};
use trend::Trend;

/// So many samples of a process are judged where nobody says how many, the last ones: a day of a purge every 15 minutes. In
/// more of them a leak that began late would not show for as long.
pub const JUDGED: u32 = 96;

/// So many of a process's first samples are its warm-up, in which caches fill and pools open.
pub const WARM_UP: usize = 20;

/// With fewer samples after the warm-up nothing is said.
pub const FEWEST: usize = 12;

/// With fewer, growth is no more than suspect: what fills up slowly, or has wandered up, looks like a leak for as long.
pub const FEWEST_FOR_LEAK: usize = 30;

/// From how many standard deviations growth is suspect, and from how many it is a leak: by the test of Mann and Kendall or by the
/// slope beside its deviation, whichever says more.
const SUSPECT_Z: f64 = 2.33;
const LEAK_Z: f64 = 2.58;

/// A half that grows by less than this share of the other, or of the whole, is a step, or growth that comes to its end.
const LASTING: f64 = 0.33;

/// A leak shows with so many of the last samples left out, too.
const APART: usize = 2;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing can be said yet.
    #[serde(rename = "too few samples")]
    TooFewSamples,
    /// No growth that could be told from noise.
    Flat,
    /// Growth, which may come to an end.
    Suspect,
    /// Growth that goes on.
    Leak,
}

impl Verdict {
    /// As it is told.
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

/// A growth, and between which it lies in 95 of 100 cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Growth {
    /// The most likely.
    pub likely: f64,
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
    /// The smallest that would have been seen in 95 of 100 cases.
    pub visible: f64,
}

/// What is to be said of one figure of one process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Judgement {
    /// Selector figure.
    pub figure: Figure,
    /// What was found.
    pub verdict: Verdict,
    /// How many samples were judged: those after the warm-up.
    pub samples: usize,
    /// Growth from one purge to the next; none where there are too few samples.
    pub per_cycle: Option<Growth>,
    /// Growth in an hour; none where there are too few samples.
    pub per_hour: Option<Growth>,
}

/// Judges a figure of one process by what it was after purges, in the order of time. `earlier` is how many samples of that
/// process there were before: they count as its warm-up.
#[must_use]
pub fn judge(figure: Figure, samples: &[Point], earlier: usize) -> Judgement {
    let after_warm_up = samples.get(WARM_UP.saturating_sub(earlier)..).unwrap_or_default();
    let too_few = Judgement {
        figure,
        verdict: Verdict::TooFewSamples,
        samples: after_warm_up.len(),
        per_cycle: None,
        per_hour: None,
    };
    if after_warm_up.len() < FEWEST {
        return too_few;
    }
    let judged = Judged::new(after_warm_up);
    let (Some(cycles), Some(hours)) = (Trend::of(&judged.by_cycle), Trend::of(&judged.by_hour)) else {
        return too_few;
    };
    let growth = |trend: &Trend, span: f64| Growth {
        likely: trend.slope,
        low: trend.low,
        high: trend.high,
        visible: trend.visible(LEAK_Z).max(if span > 0.0 { figure.floor() / span } else { 0.0 }),
    };
    Judgement {
        verdict: lasting(figure, samples, after_warm_up.len(), (&judged, &cycles)),
        per_cycle: Some(growth(&cycles, judged.cycles())),
        per_hour: Some(growth(&hours, judged.hours())),
        ..too_few
    }
}

/// What the last `count` of the samples say, which are those judged, with their trend. A leak is one that showed before, too: of
/// many looks at what wanders one may mislead, less often two.
fn lasting(figure: Figure, samples: &[Point], count: usize, last: (&Judged, &Trend)) -> Verdict {
    let showed = || {
        let (samples, count) = (&samples[..samples.len() - APART], count - APART);
        let judged = Judged::new(&samples[samples.len() - count..]);
        let whole = Trend::of(&judged.by_cycle);
        whole.is_some_and(|whole| verdict(figure, samples, count, (&judged, &whole)) == Verdict::Leak)
    };
    match verdict(figure, samples, count, last) {
        Verdict::Leak if count < FEWEST_FOR_LEAK || !showed() => Verdict::Suspect,
        seen => seen,
    }
}

/// What the last `count` of the samples look like.
fn verdict(figure: Figure, samples: &[Point], count: usize, (judged, whole): (&Judged, &Trend)) -> Verdict {
    let (span, floor) = (judged.cycles(), figure.floor());
    let clear = whole.z.max(whole.ratio);
    if clear < SUSPECT_Z || whole.slope * span < floor {
        return Verdict::Flat;
    }
    let [Some(earlier), Some(later)] = judged.halves().map(Trend::of) else { return Verdict::Suspect };
    if later.slope <= 0.0 {
        // It has grown, and does so no more.
        return Verdict::Flat;
    }
    let lasts = [(earlier.slope, whole.slope), (later.slope, whole.slope), (later.slope, earlier.slope)]
        .into_iter()
        .all(|(half, other)| half >= LASTING * other);
    let certain = clear >= LEAK_Z && whole.low * span >= floor / 2.0;
    if lasts && certain && rose(samples, count) { Verdict::Leak } else { Verdict::Suspect }
}
