//! The measurements: one series for each process and resource, with one point for each cycle.

use std::collections::BTreeMap;

use r3e_monitor::verdict::{Figure, Point, Run};

/// How a series is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Criterion {
    /// By its growth from cycle to cycle, after a warm-up, with the floor of this figure.
    Growth(Figure),
    /// By its growth from run to run of a job, as `r3e-monitor verdict` judges it.
    Runs(Figure),
    /// By its growth with the size of the work.
    WithWork(Figure),
    /// It must never be above this.
    Limit(u64),
}

impl Criterion {
    /// Whether values are bytes.
    #[must_use]
    pub(super) fn is_bytes(self) -> bool {
        match self {
            Self::Growth(figure) | Self::Runs(figure) | Self::WithWork(figure) => figure.is_bytes(),
            Self::Limit(_) => false,
        }
    }
}

/// A measured resource of a process.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// How it is judged.
    pub(super) criterion: Criterion,
    /// The values, in the order in which they were measured, each at its cycle, or with [`Criterion::WithWork`] at its number of boards.
    pub(super) points: Vec<Point>,
    /// Where the points of each later process begin.
    pub(super) begins: Vec<usize>,
    /// The start of the process that the last point is of.
    process: u64,
}

/// All series, by process and resource.
#[derive(Debug, Default)]
pub(super) struct Measurements {
    /// In the order of the report.
    pub(super) series: BTreeMap<(String, &'static str), Series>,
    /// The runs of each kind of job that have done their work, oldest first.
    pub(super) runs: BTreeMap<String, Vec<Run>>,
}

/// When something is measured, and of which process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// The cycle, or the number of boards.
    pub(super) x: u64,
    /// Distinguishes the process from the one before it, of which the earlier points are.
    pub(super) process: u64,
}

impl Series {
    /// The points of the present process.
    pub(super) fn current_process(&self) -> &[Point] {
        &self.points[self.begins.last().copied().unwrap_or_default()..]
    }
}

impl Measurements {
    /// Adds a value.
    pub(super) fn add(&mut self, process: &str, resource: &'static str, criterion: Criterion, at: Key, value: u64) {
        let series = self.series.entry((process.to_owned(), resource)).or_insert_with(|| Series {
            criterion,
            points: Vec::new(),
            begins: Vec::new(),
            process: at.process,
        });
        if series.process != at.process {
            series.process = at.process;
            series.begins.push(series.points.len());
        }
        // The unit of time is of no importance: growth is judged per point.
        series.points.push(Point { at_ms: at.x.cast_signed(), value });
    }

    /// The last value of a series.
    #[must_use]
    pub(super) fn last(&self, process: &str, resource: &'static str) -> Option<u64> {
        self.series.get(&(process.to_owned(), resource))?.points.last().map(|it| it.value)
    }
}
