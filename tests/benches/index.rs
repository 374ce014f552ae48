//! How fast and how small files are published: `r3e-loader --cached-only` on 300,000 entries from a warm cache. The unit U is
//! what `gzip` alone takes, in the same run, to decompress the same boards and to compress the driver index.
//!
//! `cargo bench --package r3e-tests --bench index` prints medians in U and peaks of resident memory, and fails if one is over
//! its bound. Ratings are not among the files, since they are only published by a job that fetches them.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use r3e_tests::programs;
use r3e_tests::sim::{SimOptions, Simulator};
use serde_json::Value;

const ROUNDS: usize = 7;

/// A kind of run, and its bounds.
struct Kind {
    name: &'static str,
    formats: &'static str,
    /// Whether what was published before is removed first; it would be compared instead of replaced.
    from_nothing: bool,
    max_wall: f64,
    max_peak_bytes: u64,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "driver index alone",
        formats: "2026-02",
        from_nothing: true,
        max_wall: 0.8,
        max_peak_bytes: 64 << 20,
    },
    Kind { name: "all files", formats: "2026-02,2026-04", from_nothing: true, max_wall: 1.6, max_peak_bytes: 80 << 20 },
    Kind {
        name: "nothing changed",
        formats: "2026-02,2026-04",
        from_nothing: false,
        max_wall: 0.05,
        max_peak_bytes: 64 << 20,
    },
];

/// What a run took.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    processor: Duration,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let loader = programs::program("r3e-loader")?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let sim = Simulator::start(SimOptions::default())?;
    say(&format!("filling a cache with {} entries …", sim.world().total_entries()));
    load(&loader, folder, &["--upstream", &sim.base_url(), "--requests-per-second", "100000"], KINDS[1].formats)?;
    drop(sim);
    shell(folder, "gzip -dc cache/driver_index.json.gz > index.json")?;

    let mut unit = Vec::new();
    let mut costs = KINDS.map(|_| Vec::new());
    let mut peaks = KINDS.map(|_| 0);
    for round in 0..=ROUNDS {
        let gzip = cost(|| {
            shell(folder, "find cache -name 'class_*.json.gz' -type f -print0 | xargs -0 gzip -dc > /dev/null")?;
            shell(folder, "gzip -6 -c index.json > /dev/null")
        })?;
        for (number, kind) in KINDS.iter().enumerate() {
            if kind.from_nothing {
                shell(folder, "rm -rf cache/driver_index.json.gz cache/index cache/.publication.json")?;
            }
            let mut peak = None;
            let took = cost(|| {
                peak = load(&loader, folder, &["--cached-only"], kind.formats)?["memory"]["peak_rss_bytes"].as_u64();
                Ok(())
            })?;
            // The first round warms the page cache.
            if round > 0 {
                costs[number].push(took);
                peaks[number] = peak.context("no peak in the summary")?.max(peaks[number]);
            }
        }
        if round > 0 {
            unit.push(gzip);
        }
    }

    let (wall, processor) = (median(&unit, |it| it.wall), median(&unit, |it| it.processor));
    say(&format!(
        "medians of {ROUNDS}; U: {wall:.3?}, of which processor {processor:.3?}; the highest of {ROUNDS} peaks"
    ));
    say(&format!("{:<20} {:>8} {:>14} {:>8}", "", "wall", "processor", "peak"));
    let mut over = Vec::new();
    for ((kind, costs), peak) in KINDS.iter().zip(&costs).zip(peaks) {
        let wall = median(costs, |it| it.wall).as_secs_f64() / wall.as_secs_f64();
        let processor = median(costs, |it| it.processor).as_secs_f64() / processor.as_secs_f64();
        say(&format!("{:<20} {wall:>6.3} U {processor:>12.3} U {:>5} MB", kind.name, peak >> 20));
        if wall >= kind.max_wall || peak >= kind.max_peak_bytes {
            over.push(format!(
                "{}: expected less than {} U and {} bytes",
                kind.name, kind.max_wall, kind.max_peak_bytes
            ));
        }
    }
    ensure!(over.is_empty(), "{}", over.join("; "));
    Ok(())
}

/// What children take that end meanwhile.
fn cost(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Cost> {
    let processor = || -> anyhow::Result<Duration> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        Ok(duration(usage.user_time()) + duration(usage.system_time()))
    };
    let (begun, before) = (Instant::now(), processor()?);
    work()?;
    Ok(Cost { wall: begun.elapsed(), processor: processor()?.saturating_sub(before) })
}

fn duration(time: TimeVal) -> Duration {
    let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
    Duration::from_micros(micros.unsigned_abs())
}

/// Runs the loader, and gives its summary.
fn load(loader: &Path, folder: &Path, arguments: &[&str], formats: &str) -> anyhow::Result<Value> {
    let output = programs::command(loader)
        .current_dir(folder)
        .args(arguments)
        .args(["--json", "--quiet"])
        .env("R3E_INDEX__FORMATS", formats)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the loader ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn shell(folder: &Path, script: &str) -> anyhow::Result<()> {
    let status = Command::new("sh").args(["-c", script]).current_dir(folder).status()?;
    ensure!(status.success(), "{script}: {status}");
    Ok(())
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> Duration) -> Duration {
    let mut times: Vec<_> = costs.iter().map(of).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn say(text: &str) {
    println!("{text}");
}
