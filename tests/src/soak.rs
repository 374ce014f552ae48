//! The soak behind `cargo soak`: the whole system for hundreds of nights of a second or two, and a verdict on whether anything
//! grows or is lost.
//!
//! `system` runs the daemons, `nights` runs jobs and sends signals drawn by `signals`, `readers` polls published files and metrics;
//! `measure` takes measurements, `measurements` keeps them, `judgement` and `publication` judge.

mod disk;
mod folder;
mod http;
mod judgement;
mod log;
mod measure;
mod measurements;
mod nights;
mod options;
mod page;
mod planted;
mod publication;
mod readers;
mod records;
mod report;
mod signals;
mod system;
mod table;
mod violations;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;

pub use options::Options;
pub use report::NOT_FOUND;

use r3e_common::runtime::fs::write_whole;

use crate::harness::{REAPER, board_files, grid};
use crate::programs::build_beside;
use crate::sim::{Faults, SimOptions, Simulator, Tls};
use folder::Folder;
use measure::Measure;
use nights::{Nights, check_record};
use planted::build;
use readers::Readers;
use records::Records;
use report::Report;
use signals::DAEMONS_UNTIL;
use system::{POLL, Programs, System, check_kernel};
use table::{Table, print};
use violations::Violations;

/// The share of requests that go wrong.
const FAULT_RATE: f64 = 0.3;

/// How long a job on all boards may take.
const MAX_FULL_JOB: Duration = Duration::from_mins(2);

/// Runs a soak. Returns the exit code: 0 if nothing grows and nothing was lost; see [`Options`]. When `stop` becomes true, it ends
/// after the cycle.
///
/// # Errors
/// If something does not work at all, such as a daemon that does not answer.
pub fn run(options: &Options, stop: &AtomicBool) -> anyhow::Result<u8> {
    check_kernel()?;
    build_beside(REAPER)?;
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let programs = match &options.programs {
        Some(folder) => folder.canonicalize()?,
        None => build(options.plant.as_ref())?,
    };
    let programs = Programs { folder: programs, plant: options.plant.clone() };
    let catalog = grid(6, 8);
    let sim = Simulator::start(SimOptions {
        seed,
        catalog: catalog.clone(),
        entries: 4000,
        drivers: 600,
        tls: Some(Tls::Both),
        faults: faults(),
        ..SimOptions::default()
    })?;
    let folder = Folder::create(&options.folder(), &catalog, &sim)?;
    print(&format!("seed {seed}, in {}\n", folder.path("").display()));

    let violations = Arc::new(Violations::default());
    let records = Records::collect(&folder.run(), Arc::clone(&violations));
    let mut system = System::start(folder.clone(), programs.clone(), Arc::clone(&violations))?;
    first_load(&mut system, catalog.len())?;
    let readers = Readers::start(&folder, catalog.combinations().collect(), &violations);
    let mut nights = Nights::new(&sim, seed, Arc::clone(&violations));
    let (mut measure, mut table) = (Measure::default(), Table::new());

    let begun = Instant::now();
    let mut cycle = 0;
    while options.progress(cycle, begun.elapsed()) < 1.0 && !stop.load(Ordering::Relaxed) {
        // To find a leak that is planted, no daemon needs to be restarted.
        let daemons_until = if options.plant.is_some() { 0.0 } else { DAEMONS_UNTIL };
        let with_daemons = options.progress(cycle, begun.elapsed()) < daemons_until;
        let night = nights.next(&mut system, with_daemons)?;
        cycle += 1;
        measure.baseline(&mut system, &readers, cycle)?;
        if !with_daemons {
            readers.expect_no_refusals();
        }
        for record in records.take() {
            check_record(&record, &violations);
            measure.job(&record, cycle);
        }
        table.show(cycle, &night, &measure.measurements, &readers);
    }
    let took = begun.elapsed();

    last_publication(&mut system, &sim, &violations)?;
    records.take().for_each(|record| check_record(&record, &violations));
    let reads = readers.counts();
    drop(readers);
    let starts = system.daemons.each_ref().map(|it| it.starts);
    system.stop()?;
    for path in folder.history()?.iter().filter(|it| it.to_string_lossy().contains("damaged")) {
        violations.add(format!("the history was damaged: {}", path.display()));
    }
    let compared = publication::compare(&folder, &programs, &violations)?;
    let jobs = [measure.scheduled, nights.by_hand, nights.killed, measure.records];
    let (lost, loss_count) = violations.all();
    let report = Report {
        plant: options.plant.clone(),
        seed,
        cycles: cycle,
        took,
        signals: nights.signals,
        jobs,
        starts,
        reads,
        faults: sim.stats().faults.values().sum(),
        compared,
        violations: lost,
        loss_count,
        rows: judgement::rows(measure.measurements),
    };
    print(&report.text());
    write_whole(&options.report, page::page(&report).as_bytes())?;
    print(&format!("The report with charts is {}.\n", options.report.display()));
    Ok(report.exit_code())
}

/// Answers go wrong as often as a bad service's, but none takes long.
fn faults() -> Faults {
    let (retry_after, drip_every, drip_for) = (Duration::ZERO, Duration::from_millis(50), Duration::from_millis(300));
    Faults { retry_after, drip_every, drip_for, endless_bytes: 8 << 20, ..Faults::all(FAULT_RATE) }
}

/// Waits until all boards are in the cache.
fn first_load(system: &mut System, boards: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        ensure!(begun.elapsed() < MAX_FULL_JOB, "the first load does not end");
        if system.is_idle()? {
            if board_files(&system.folder.cache()).len() == boards {
                return Ok(());
            }
            // Some have failed.
            system.folder.trigger("")?;
        }
        std::thread::sleep(POLL);
    }
}

/// A full refresh without faults, so that all boards are as the service has them now.
fn last_publication(system: &mut System, sim: &Simulator, violations: &Violations) -> anyhow::Result<()> {
    sim.set_faults(Faults::default())?;
    let before = system.stats(0)?.schedule.unwrap_or_default();
    system.folder.trigger("")?;
    let begun = Instant::now();
    while !system.is_idle()? {
        ensure!(begun.elapsed() < MAX_FULL_JOB, "the last refresh does not end");
        std::thread::sleep(POLL);
    }
    let after = system.stats(0)?.schedule.unwrap_or_default();
    if after.jobs_started == before.jobs_started || after.jobs_failed > before.jobs_failed {
        violations.add(format!("the last refresh did not succeed: before it {before:?}, after it {after:?}"));
    }
    Ok(())
}
