//! How well the verdict distinguishes leaks from noise, on real processes: `r3e-leaky` leaks at a known rate or not at all
//! while it does several kinds of work. After each cycle it is purged and measured through its control socket, as the
//! monitor's watch does. The verdict is also computed after each cycle, so a single wrong one in a trial counts.
//!
//! Some of the clean processes run for a day of purges.
//!
//! Jobs are judged likewise by their runs, after each night: a night is a process of its own.
//!
//! `cargo bench --package r3e-tests --bench verdict` prints two tables and fails where fewer than 95 of 100 leaks of a kind are
//! found within 40 cycles after the warm-up or within 20 nights, or anything clean is called a leak. `-- --help` lists the options.

mod jobs;
mod processes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::ensure;
use clap::{Parser, ValueEnum};
use r3e_common::runtime::control::Stats;
use r3e_monitor::verdict::{Figures, Moment};

/// The fraction of the leaks of a kind that must be found.
const AT_LEAST: f64 = 0.95;

/// Trials at once: a process never waits for the disk, but often for its threads.
const AT_ONCE: usize = 3;

const PROGRAM: &str = env!("CARGO_BIN_EXE_r3e-leaky");

/// Measures how well verdicts distinguish leaks from noise.
#[derive(Parser)]
struct Arguments {
    /// Trials of each kind of leak.
    #[arg(long, value_name = "N", default_value_t = 100)]
    leaking: u64,
    /// Trials without a leak.
    #[arg(long, value_name = "N", default_value_t = 200)]
    clean: u64,
    /// Processes without a leak that run for a day of purges.
    #[arg(long, value_name = "N", default_value_t = 14)]
    days: u64,
    /// The first trial of each kind has this seed, and each further one the next.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seeds_from: u64,
    /// Only this part.
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    /// Keep what was measured of processes in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "only")]
    save: Option<PathBuf>,
    /// Judge the measurements in this file instead of measuring; with --leaking, --clean and --seeds-from as when it was saved.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "save"])]
    from: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    Processes,
    Days,
    Jobs,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let is_selected = |part| match arguments.from {
        Some(_) => part == Part::Processes,
        None => arguments.only.is_none_or(|only| only == part),
    };
    let report = |part: &Part| match part {
        Part::Processes => processes::report(arguments),
        Part::Days => processes::report_days(arguments),
        Part::Jobs => jobs::report(arguments),
    };
    // A part that fails does not prevent the next.
    all(Part::value_variants().iter().filter(|it| is_selected(**it)).map(report).collect())
}

/// A trial and what was measured in it.
type Measured<T = Moment> = (usize, Vec<T>);

/// Runs all trials, some at a time.
fn measure<T: Sync, M: Send>(
    trials: &[T],
    run: impl Fn(&T, &Path) -> anyhow::Result<Vec<M>> + Sync,
) -> anyhow::Result<Vec<Measured<M>>> {
    let folder = tempfile::tempdir()?;
    let (next, measured) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> anyhow::Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(trial) = trials.get(number) else { return Ok(()) };
            let series = run(trial, folder.path())?;
            measured.lock().map_err(|_| anyhow::anyhow!("a trial panicked"))?.push((number, series));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|it| it.join().map_err(|_| anyhow::anyhow!("a trial panicked"))?)
    })?;
    let mut measured = measured.into_inner().map_err(|_| anyhow::anyhow!("a trial panicked"))?;
    measured.sort_by_key(|it| it.0);
    Ok(measured)
}

fn moment(at_ms: i64, stats: &Stats) -> Moment {
    Moment { at_ms, figures: Figures::new(&stats.figures, stats.tasks) }
}

/// A row of a table: trials of one kind.
struct Row<'a> {
    leak: &'a str,
    growth: usize,
    work: &'a str,
    trials: usize,
    /// After how many cycles or nights each leak was found; `None` for trials without one.
    found_after: Option<Vec<usize>>,
    /// Within how many it must be found.
    limit: usize,
    false_alarms: Vec<String>,
}

impl Row<'_> {
    fn print_header(unit: &str) {
        say(&format!(
            "leak         a {unit:<6}  work                  trials  found  after {:<22}  clean but called a leak",
            format!("{unit}s (median, most)")
        ));
    }

    fn print(&self) {
        let Self { leak, growth, work, trials, found_after, false_alarms, .. } = self;
        let (mut found, mut after) = ("-".to_owned(), "-".to_owned());
        if let Some(times) = found_after {
            let mut times = times.clone();
            times.sort_unstable();
            found = self.found_in_time(&times).to_string();
            after = times.last().map_or(after, |most| format!("{}, {most}", times[times.len() / 2]));
        }
        say(&format!(
            "{leak:<12} {growth:>8}  {work:<20}  {trials:>6}  {found:>5}  {after:>28}  {:>3}  {}",
            false_alarms.len(),
            false_alarms.join("; "),
        ));
    }

    fn found_in_time(&self, times: &[usize]) -> usize {
        times.iter().filter(|it| **it <= self.limit).count()
    }

    /// # Errors
    /// If too few leaks were found, or anything clean was called a leak.
    fn check(&self) -> anyhow::Result<()> {
        let Self { leak, work, trials, found_after, false_alarms, .. } = self;
        let enough = || {
            let Some(times) = found_after else { return Ok(()) };
            let found = self.found_in_time(times);
            #[expect(clippy::cast_precision_loss, reason = "some hundred trials")]
            let is_enough = found as f64 >= AT_LEAST * *trials as f64;
            ensure!(is_enough, "{leak}, {work}: found in {found} of {trials} trials");
            Ok(())
        };
        let right = || {
            let wrong = false_alarms.len();
            ensure!(wrong == 0, "{leak}, {work}: clean but called a leak in {wrong} of {trials} trials");
            Ok(())
        };
        all(vec![enough(), right()])
    }
}

/// All that failed, as one error.
fn all(results: Vec<anyhow::Result<()>>) -> anyhow::Result<()> {
    let failed: Vec<_> = results.into_iter().filter_map(|it| Some(format!("{:#}", it.err()?))).collect();
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn say(text: &str) {
    println!("{text}");
}
