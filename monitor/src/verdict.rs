//! Leak or noise: one function over what a process held after its purges.

mod figure;
mod series;
#[cfg(test)]
mod tests;
mod trend;

use serde::Serialize;

pub use figure::{Figure, Figures, Moment};
pub use series::Point;

use series::Judged;
use trend::Trend;

/// So many of a process's first samples are its warm-up, in which caches fill and pools open.
pub const WARM_UP: usize = 20;

/// With fewer samples after the warm-up nothing is said.
pub const FEWEST: usize = 12;

/// With fewer, growth is no more than suspect: what fills up slowly looks like a leak for as long.
pub const FEWEST_FOR_LEAK: usize = 24;

/// The statistic of Mann-Kendall, with its variance widened, from which growth is suspect, and from which it is a leak.
const SUSPECT_Z: f64 = 2.33;
const LEAK_Z: f64 = 3.09;

/// What grows slower in the later half than this share of the earlier half is coming to an end.
const LASTING: f64 = 0.5;

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
    /// Which figure.
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
    let verdict = verdict(figure, after_warm_up.len(), &judged, &cycles);
    let growth = |trend: &Trend, span: f64| Growth {
        likely: trend.slope,
        low: trend.low,
        high: trend.high,
        visible: trend.visible(LEAK_Z).max(if span > 0.0 { figure.floor() / span } else { 0.0 }),
    };
    Judgement {
        verdict,
        per_cycle: Some(growth(&cycles, judged.cycles())),
        per_hour: Some(growth(&hours, judged.hours())),
        ..too_few
    }
}

fn verdict(figure: Figure, samples: usize, judged: &Judged, whole: &Trend) -> Verdict {
    let grown = whole.slope * judged.cycles();
    if whole.z < SUSPECT_Z || grown < figure.floor() {
        return Verdict::Flat;
    }
    let [Some(earlier), Some(later)] = judged.halves().map(Trend::of) else { return Verdict::Suspect };
    if later.slope <= 0.0 {
        // It has grown, and does so no more.
        return Verdict::Flat;
    }
    let lasts = earlier.slope > 0.0 && later.slope >= LASTING * earlier.slope && later.slope >= LASTING * whole.slope;
    let certain = whole.z >= LEAK_Z && whole.low * judged.cycles() >= figure.floor() / 2.0;
    if samples >= FEWEST_FOR_LEAK && lasts && certain { Verdict::Leak } else { Verdict::Suspect }
}
