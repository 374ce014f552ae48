//! Measures everything at the baseline: when no job is at work, no reader reads, and each daemon has purged.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::ensure;
use r3e_common::runtime::control::{Endpoint, PurgeStats, Stats};
use r3e_common::runtime::exit::Exit;
use r3e_common::runtime::memory;
use r3e_common::runtime::run_record::RunRecord;
use r3e_monitor::verdict::{Figure, Figures, Moment, Run};

use super::disk::{DiskUsage, disk_usage};
use super::measurements::{Criterion, Key, Measurements};
use super::readers::Readers;
use super::system::{MAX_ANSWER, POLL, System};
use crate::harness::children;

/// Takes the measurements of a soak.
#[derive(Debug, Default)]
pub(super) struct Measure {
    /// Where they go.
    pub(super) measurements: Measurements,
    /// Lines and bytes that each daemon had logged at the last measurement.
    logged: [[u64; 2]; 3],
    /// The children of each daemon at the last measurement.
    children: [Vec<u32>; 3],
    /// The start of the scheduler and the jobs that it had started since, at the last measurement.
    jobs: (u64, u64),
    /// How many jobs the scheduler has started, other than those between the last measurement and the end of a scheduler.
    pub(super) scheduled: u64,
    /// How many records of jobs were read.
    pub(super) records: u64,
}

impl Measure {
    /// Waits for the baseline, and adds a point to each series of daemons and folders.
    ///
    /// # Errors
    /// If a daemon does not answer, or the baseline does not come.
    pub(super) fn baseline(&mut self, system: &mut System, readers: &Readers, cycle: u64) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            ensure!(begun.elapsed() < MAX_ANSWER, "jobs are at work without end");
            if !system.is_idle()? {
                std::thread::sleep(POLL);
                continue;
            }
            let _paused = readers.pause();
            let before = jobs_started(system)?;
            let mut daemons = Vec::new();
            for number in 0..system.daemons.len() {
                let purged: PurgeStats = system.ask(number, Endpoint::Purge)?;
                daemons.push((purged.after, children(system.daemons[number].pid())));
            }
            let folders = folders(system)?;
            // A job by the schedule may have begun meanwhile.
            if !system.is_idle()? || jobs_started(system)? != before {
                continue;
            }
            let (start, jobs) = before;
            self.scheduled += if self.jobs.0 == start { jobs - self.jobs.1 } else { jobs };
            self.jobs = before;
            let at = Key { x: cycle, process: 0 };
            for (number, (stats, children)) in daemons.into_iter().enumerate() {
                self.daemon(system, number, &stats, children, at);
            }
            self.folders(&folders, at);
            return Ok(());
        }
    }

    fn daemon(&mut self, system: &System, number: usize, stats: &Stats, children: Vec<u32>, at: Key) {
        let daemon = &system.daemons[number];
        let figures = &stats.figures;
        let own = Key { process: daemon.starts, ..at };
        // A job that starts this moment is a child too, but none that was there at the last baseline.
        let left = children.iter().filter(|it| self.children[number].contains(it)).count() as u64;
        self.children[number] = children;
        for (resource, criterion, value) in [
            ("allocated", Criterion::Growth(Figure::Allocated), figures.live_bytes()),
            ("resident", Criterion::Growth(Figure::Resident), figures.rss_anon_bytes.unwrap_or(figures.rss_bytes)),
            ("tasks", Criterion::Growth(Figure::Tasks), stats.tasks),
            ("threads", Criterion::Growth(Figure::Threads), figures.threads),
            (
                "descriptors",
                Criterion::Growth(Figure::Descriptors),
                figures.open_fds.saturating_sub(figures.connections),
            ),
            ("connections", Criterion::Growth(Figure::Connections), figures.connections),
            // Those that have ended and were not waited for count too.
            ("children", Criterion::Limit(0), left),
        ] {
            self.measurements.add(daemon.name, resource, criterion, own, value);
        }
        let logged = [&daemon.logged.lines, &daemon.logged.bytes].map(|it| it.load(Ordering::Relaxed));
        let before = std::mem::replace(&mut self.logged[number], logged);
        let [lines, bytes] = [0, 1].map(|it| logged[it] - before[it]);
        for (resource, value) in [("log lines per cycle", lines), ("log KB per cycle", bytes >> 10)] {
            self.measurements.add(daemon.name, resource, Criterion::Growth(Figure::Tasks), at, value);
        }
    }

    fn folders(&mut self, folders: &Folders, at: Key) {
        for (name, DiskUsage { bytes, files }) in folders.all {
            // These figures are exact. What varies is how well boards compress, by some KB, and which temporary files a kill
            // has left until the next job: the floors of a process's own bytes and descriptors are above both.
            let floor = if name == HISTORY { Figure::Resident } else { Figure::Allocated };
            self.measurements.add(name, "bytes", Criterion::Growth(floor), at, bytes);
            self.measurements.add(name, "files", Criterion::Growth(Figure::Descriptors), at, files);
        }
        for (program, files) in folders.named {
            self.measurements.add(program, "files", Criterion::Growth(Figure::Descriptors), at, files);
        }
    }

    /// Adds a point to each series of a kind of job. Only jobs that have done their work are compared with each other.
    pub(super) fn job(&mut self, record: &RunRecord, cycle: u64) {
        if !["r3e-loader", "r3e-refresher"].contains(&&*record.program) {
            return;
        }
        self.records += 1;
        if ![Exit::Done, Exit::SomeBoardsFailed].map(Exit::code).contains(&record.exit_code) {
            return;
        }
        let program = record.program.trim_start_matches("r3e-");
        let kind = format!("{program}: {}", record.doing);
        let boards = |which: &str| record.boards.get(which).and_then(serde_json::Value::as_u64).unwrap_or_default();
        let fetched = boards("fetched");
        let held = memory::Figures {
            peak_rss_bytes: record.peak_rss_bytes,
            rss_bytes: record.rss_bytes,
            allocated_bytes: record.allocated_bytes,
            threads: record.threads,
            open_fds: record.open_fds,
            connections: record.connections,
            ..memory::Figures::default()
        };
        let figures = Figures::new(&held, record.tasks);
        let end = Moment { at_ms: cycle.cast_signed(), figures };
        self.measurements.runs.entry(kind.clone()).or_default().push(Run { end, fetched, entries: boards("entries") });
        let (cycle, work) = (Key { x: cycle, process: 0 }, Key { x: fetched, process: 0 });
        for (resource, figure) in [
            ("peak", Figure::Peak),
            ("resident at the end", Figure::Resident),
            ("allocated at the end", Figure::Allocated),
            ("threads at the end", Figure::Threads),
            ("descriptors at the end", Figure::Descriptors),
        ] {
            self.measurements.add(&kind, resource, Criterion::Runs(figure), cycle, figures.of(figure));
        }
        for (resource, figure) in [("tasks at the end", Figure::Tasks), ("connections at the end", Figure::Connections)]
        {
            self.measurements.add(&kind, resource, Criterion::Limit(0), cycle, figures.of(figure));
        }
        // A process ends with its job, so a leak of a job is what it holds at its end for each board of its work.
        for (resource, figure) in [
            ("allocated at the end, by work", Figure::Allocated),
            ("descriptors at the end, by work", Figure::Descriptors),
        ] {
            self.measurements.add(program, resource, Criterion::WithWork(figure), work, figures.of(figure));
        }
    }
}

const HISTORY: &str = "history";

/// What is on the disk.
#[derive(Debug)]
struct Folders {
    all: [(&'static str, DiskUsage); 4],
    /// Files with the name of a program in theirs.
    named: [(&'static str, u64); 4],
}

fn folders(system: &System) -> anyhow::Result<Folders> {
    let folder = &system.folder;
    let mut named = super::planted::PROGRAMS.map(|it| (it, 0));
    let mut sum = |names: Vec<PathBuf>| {
        let mut sum = DiskUsage::default();
        for name in names {
            let (amount, of_programs) = disk_usage(&name);
            sum.bytes += amount.bytes;
            sum.files += amount.files;
            for (program, files) in &mut named {
                *files += of_programs.get(program).copied().unwrap_or_default();
            }
        }
        sum
    };
    let all = [
        ("cache", sum(vec![folder.path("cache")])),
        ("staging", sum(vec![folder.path("cache_temp")])),
        (HISTORY, sum(folder.history()?)),
        ("sockets", sum(vec![folder.path("run")])),
    ];
    Ok(Folders { all, named })
}

/// Which scheduler, and how many jobs it has started.
fn jobs_started(system: &mut System) -> anyhow::Result<(u64, u64)> {
    let schedule = system.stats(0)?.schedule;
    Ok((system.daemons[0].starts, schedule.map_or(0, |it| it.jobs_started)))
}
