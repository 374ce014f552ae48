//! What to run, and for how long.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

use super::planted::PlantedLeak;

/// Runs the whole system for many nights of a second or two, and reports whether anything grows or is lost.
#[derive(Debug, Clone, Parser)]
#[command(name = "r3e-soak", max_term_width = 100)]
pub struct Options {
    /// Number of nights [default: 300, or 60 with --plant]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "time")]
    pub(super) cycles: Option<u64>,

    /// Run for this long instead, e.g. 3h
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) time: Option<Duration>,

    /// Seed of the world, of the jobs and of the stops and kills [default: drawn, and printed]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,

    /// Where to run; the content that an earlier soak left is removed first [default: target/soak]
    #[arg(long, value_name = "FOLDER")]
    pub(super) folder: Option<PathBuf>,

    /// Write the report with charts to this file
    #[arg(long, value_name = "FILE", default_value = "soak-report.html")]
    pub(super) report: PathBuf,

    /// Run the programs in this folder instead of building them
    #[arg(long, value_name = "FOLDER", conflicts_with = "plant")]
    pub(super) programs: Option<PathBuf>,

    /// Build programs that leak on purpose: PROGRAM is scheduler, monitor, loader or refresher; KIND is bytes, task,
    /// descriptor or file. Exits with 1 if the soak finds the leak, with 2 if not or if anything else fails
    #[arg(long, value_name = "PROGRAM:KIND")]
    pub(super) plant: Option<PlantedLeak>,
}

impl Options {
    /// The folder to run in.
    #[must_use]
    pub(super) fn folder(&self) -> PathBuf {
        let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/soak");
        self.folder.clone().unwrap_or_else(default)
    }

    /// Whether a leak is planted.
    #[must_use]
    pub fn plants(&self) -> bool {
        self.plant.is_some()
    }

    /// How far a run is that has done this many cycles in this time: 1 or more at its end.
    #[must_use]
    pub(super) fn progress(&self, cycles: u64, elapsed: Duration) -> f64 {
        match self.time {
            Some(time) => elapsed.as_secs_f64() / time.as_secs_f64().max(1.0),
            #[expect(clippy::cast_precision_loss, reason = "a number of cycles")]
            None => cycles as f64 / self.all_cycles().max(1) as f64,
        }
    }

    fn all_cycles(&self) -> u64 {
        self.cycles.unwrap_or(if self.plant.is_some() { 60 } else { 300 })
    }
}
