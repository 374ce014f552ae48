//! The demonstration behind `cargo demo`: the real loader against the simulated service, with the whole catalogue.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};
use r3e_tests::programs;
use r3e_tests::sim::{SimOptions, Simulator};

/// Requests at a time.
const CONCURRENCY: u64 = 8;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("The demonstration failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/demo");
    let loader = build_loader()?;
    clear(&folder)?;
    let folder = folder.canonicalize()?;

    let sim = Simulator::start(SimOptions::default())?;
    let world = sim.world();
    say(&format!(
        "A simulated service at {} has {} boards, {} of them with entries: {} entries in all.",
        sim.base_url(),
        world.catalog().len(),
        world.boards_with_entries(),
        world.total_entries()
    ));

    say("\nThe loader copies them all:\n");
    load(&loader, &folder, &sim)?;
    let first = sim.stats();
    say("\nA second run finds them fresh and asks for nothing:\n");
    load(&loader, &folder, &sim)?;

    let stats = sim.stats();
    let again = stats.requests - first.requests;
    say(&format!(
        "\nThe service counted {} requests over {} connections in the first run and {again} requests in the second; {} connections\n\
         are open now. The files are in {}; `zcat driver_index.json.gz` shows the index.",
        first.requests,
        first.connections_accepted,
        stats.connections_open,
        folder.join("cache").display()
    ));
    ensure!(again == 0, "the second run made {again} requests");
    let opened = first.connections_accepted;
    ensure!(opened <= CONCURRENCY + 2, "{opened} connections for {CONCURRENCY} requests at a time");
    Ok(())
}

/// Builds the loader beside this program, and returns its path.
fn build_loader() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let target =
        this.parent().and_then(Path::parent).with_context(|| format!("{}: no target folder", this.display()))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--bin", "r3e-loader", "--target-dir"])
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cargo build --release --bin r3e-loader: {status}");
    Ok(target.join("release/r3e-loader"))
}

/// Runs the loader in `folder`, with its progress and its summary on this terminal.
fn load(loader: &Path, folder: &Path, sim: &Simulator) -> anyhow::Result<()> {
    let status = programs::command(loader)
        .current_dir(folder)
        .args(["--upstream", &sim.base_url()])
        // The simulator is ours, so the manners that the real service deserves would only take time.
        .args(["--requests-per-second", "100000", "--concurrency", &CONCURRENCY.to_string()])
        .status()
        .with_context(|| format!("cannot run {}", loader.display()))?;
    ensure!(status.success(), "the loader ended with {status}");
    Ok(())
}

/// Removes what an earlier demonstration left.
#[expect(clippy::disallowed_methods, reason = "outside the programs, and their rules for files")]
fn clear(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(r3e_common::runtime::fs::create_folders(folder)?)
}

#[expect(clippy::print_stdout, reason = "this program's output is for people")]
fn say(text: &str) {
    println!("{text}");
}
