//! How fast and how small the index is made: `r3e-loader --cached-only` on 300,000 entries from a warm cache, beside
//! what `gzip` alone takes to decompress the same boards and to compress the same index, in the same run.
//!
//! `cargo bench --package r3e-tests --bench index` prints medians and their ratio, and fails where the ratio is not
//! below 1 or the peak of resident memory not below 100 MB.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use r3e_tests::programs;
use r3e_tests::sim::{SimOptions, Simulator};
use serde_json::Value;

const ROUNDS: usize = 7;
const PEAK_BOUND_BYTES: u64 = 100 << 20;

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
    let sim = Simulator::start(SimOptions::default())?;
    say(&format!("filling a cache with {} entries …", sim.world().total_entries()));
    load(&loader, folder.path(), &["--upstream", &sim.base_url(), "--requests-per-second", "100000"])?;
    drop(sim);

    let (mut ours, mut theirs, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        // An index that is there already would be compared instead of replaced.
        shell(folder.path(), "rm -f cache/driver_index.json.gz")?;
        let begun = Instant::now();
        let summary = load(&loader, folder.path(), &["--cached-only"])?;
        let took = begun.elapsed();
        let peak = summary["memory"]["peak_rss_bytes"].as_u64().context("no peak in the summary")?;
        shell(folder.path(), "gzip -dc cache/driver_index.json.gz > index.json")?;
        let begun = Instant::now();
        shell(folder.path(), "find cache -name 'class_*.json.gz' -print0 | xargs -0 gzip -dc > /dev/null")?;
        shell(folder.path(), "gzip -6 -c index.json > /dev/null")?;
        let gzip = begun.elapsed();
        // The first round warms the page cache.
        if round > 0 {
            ours.push(took);
            theirs.push(gzip);
            peaks.push(peak);
        }
    }
    let (ours, theirs, peak) = (median(ours), median(theirs), peaks.into_iter().max().unwrap_or_default());
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    say(&format!("r3e-loader --cached-only   {ours:>10.3?}  (median of {ROUNDS})"));
    say(&format!("gzip -dc boards, gzip -6   {theirs:>10.3?}  (median of {ROUNDS})"));
    say(&format!("ratio                      {ratio:>10.3}"));
    say(&format!("peak resident memory       {:>7} MB  (highest of {ROUNDS})", peak >> 20));
    ensure!(ratio < 1.0, "slower than gzip alone");
    ensure!(peak < PEAK_BOUND_BYTES, "the peak is {peak} bytes: expected less than {PEAK_BOUND_BYTES}");
    Ok(())
}

/// Runs the loader, and gives its summary.
fn load(loader: &Path, folder: &Path, arguments: &[&str]) -> anyhow::Result<Value> {
    let output = programs::command(loader)
        .current_dir(folder)
        .args(arguments)
        .args(["--json", "--quiet"])
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

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn say(text: &str) {
    println!("{text}");
}
