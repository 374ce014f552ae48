//! Measures everything at the baseline: when no job is at work, no reader reads, and each daemon has purged.

use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use anyhow::ensure;
use r3e_common::runtime::control::{Endpoint, PurgeStats, Stats};
use r3e_common::runtime::run_record::RunRecord;
use r3e_monitor::verdict::Figure;

use super::disk::{Amount, amounts};
use super::ledger::{At, Ledger, Test};
use super::readers::Readers;
use super::system::{BOUND, POLL, System, children};

/// Takes the measurements of a soak.
#[derive(Debug, Default)]
pub(super) struct Measure {
    /// Where they go.
    pub(super) ledger: Ledger,
    /// Lines that each daemon had logged at the last measurement.
    lines: [u64; 3],
    /// The children of each daemon at the last measurement.
    children: [Vec<u32>; 3],
}

impl Measure {
    /// Waits for the baseline, and adds a point to each series of daemons and folders.
    ///
    /// # Errors
    /// If a daemon does not answer, or the baseline does not come.
    pub(super) fn baseline(&mut self, system: &mut System, readers: &Readers, cycle: u64) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            ensure!(begun.elapsed() < BOUND, "jobs are at work without end");
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
            let folders = folders(system);
            // A job by the schedule may have begun meanwhile.
            if !system.is_idle()? || jobs_started(system)? != before {
                continue;
            }
            let at = At { cycle, time: now_ms(), process: 0 };
            for (number, (stats, children)) in daemons.into_iter().enumerate() {
                self.daemon(system, number, &stats, children, at);
            }
            self.folders(&folders, at);
            return Ok(());
        }
    }

    fn daemon(&mut self, system: &System, number: usize, stats: &Stats, children: Vec<u32>, at: At) {
        let daemon = &system.daemons[number];
        let figures = &stats.figures;
        let own = At { process: daemon.starts, ..at };
        // A job that starts this moment is a child too, but none that was there at the last baseline.
        let left = children.iter().filter(|it| self.children[number].contains(it)).count() as u64;
        self.children[number] = children;
        for (resource, test, value) in [
            ("allocated", Test::Growth(Figure::Allocated), figures.live_bytes()),
            ("resident", Test::Growth(Figure::Resident), figures.rss_anon_bytes.unwrap_or(figures.rss_bytes)),
            ("tasks", Test::Growth(Figure::Tasks), stats.tasks),
            ("threads", Test::Growth(Figure::Threads), figures.threads),
            ("descriptors", Test::Growth(Figure::Descriptors), figures.open_fds.saturating_sub(figures.connections)),
            ("connections", Test::Growth(Figure::Connections), figures.connections),
            // Those that have ended and were not waited for count too.
            ("children", Test::Limit(0), left),
        ] {
            self.ledger.add(daemon.name, resource, test, own, value);
        }
        let lines = daemon.logged.lines.load(Ordering::Relaxed);
        let new = lines - std::mem::replace(&mut self.lines[number], lines);
        self.ledger.add(daemon.name, "log lines per cycle", Test::Growth(Figure::Tasks), at, new);
    }

    fn folders(&mut self, folders: &Folders, at: At) {
        for (name, Amount { bytes, files }) in folders.all {
            // These figures are exact. What varies is how well boards compress, by some KB, and which temporary files a kill
            // has left until the next job: the floors of a process's own bytes and descriptors are above both.
            let floor = if name == HISTORY { Figure::Resident } else { Figure::Allocated };
            self.ledger.add(name, "bytes", Test::Growth(floor), at, bytes);
            self.ledger.add(name, "files", Test::Growth(Figure::Descriptors), at, files);
        }
        for (program, files) in folders.named {
            self.ledger.add(program, "files", Test::Growth(Figure::Descriptors), at, files);
        }
    }

    /// Adds a point to each series of a kind of job. Only jobs that have done their work are compared with each other.
    pub(super) fn job(&mut self, record: &RunRecord, cycle: u64) {
        if !["r3e-loader", "r3e-refresher"].contains(&&*record.program) || ![0, 3].contains(&record.exit_code) {
            return;
        }
        // "refreshing 17 boards" is one kind for all numbers.
        let words = record.doing.split(' ').map(|it| if it.parse::<u64>().is_ok() { "some" } else { it });
        let program = record.program.trim_start_matches("r3e-");
        let kind = format!("{program}: {}", words.collect::<Vec<_>>().join(" "));
        let night = At { cycle, time: now_ms(), process: 0 };
        let nights = Test::NightToNight;
        for (resource, test, value) in [
            ("peak", nights(Figure::Resident), record.peak_rss_bytes),
            ("resident at the end", nights(Figure::Resident), record.rss_bytes),
            ("allocated at the end", nights(Figure::Allocated), record.allocated_bytes),
            ("tasks at the end", Test::Limit(0), record.tasks),
            ("threads at the end", nights(Figure::Threads), record.threads),
            ("descriptors at the end", nights(Figure::Descriptors), record.open_fds.saturating_sub(record.connections)),
            ("connections at the end", Test::Limit(0), record.connections),
        ] {
            self.ledger.add(&kind, resource, test, night, value);
        }
        // A process ends with its job, so a leak of a job is what it holds at its end for each board of its work.
        let fetched = record.boards.get("fetched").and_then(serde_json::Value::as_i64).unwrap_or_default();
        let work = At { time: fetched, ..night };
        for (resource, figure, value) in [
            ("allocated at the end, by work", Figure::Allocated, record.allocated_bytes),
            (
                "descriptors at the end, by work",
                Figure::Descriptors,
                record.open_fds.saturating_sub(record.connections),
            ),
        ] {
            self.ledger.add(program, resource, Test::WithWork(figure), work, value);
        }
    }
}

const HISTORY: &str = "history";

/// What is on the disk.
#[derive(Debug)]
struct Folders {
    all: [(&'static str, Amount); 4],
    /// Files with the name of a program in theirs.
    named: [(&'static str, u64); 4],
}

fn folders(system: &System) -> Folders {
    let folder = &system.folder;
    let mut named = super::planted::PROGRAMS.map(|it| (it, 0));
    let mut sum = |names: &[&str]| {
        let mut sum = Amount::default();
        for name in names {
            let (amount, of_programs) = amounts(&folder.path(name));
            sum.bytes += amount.bytes;
            sum.files += amount.files;
            for (program, files) in &mut named {
                *files += of_programs.get(program).copied().unwrap_or_default();
            }
        }
        sum
    };
    let all = [
        ("cache", sum(&["cache"])),
        ("staging", sum(&["cache_temp"])),
        (HISTORY, sum(&["monitor.db", "monitor.db-wal", "monitor.db-shm"])),
        ("sockets", sum(&["run"])),
    ];
    Folders { all, named }
}

/// Which scheduler, and how many jobs it has started.
fn jobs_started(system: &mut System) -> anyhow::Result<(u64, Option<u64>)> {
    let schedule = system.stats(0)?.schedule;
    Ok((system.daemons[0].starts, schedule.map(|it| it.jobs_started)))
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
