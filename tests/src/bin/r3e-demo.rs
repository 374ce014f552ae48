//! The demonstration behind `cargo demo`: the real loader against the simulated service, with the whole catalogue.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ExitCode, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use anyhow::{Context as _, ensure};
use clap::Parser;
use nix::sys::signal::{Signal, kill};
use r3e_tests::harness::{REAPER, command, pid_of};
use r3e_tests::programs;
use r3e_tests::sim::{SimOptions, Simulator};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Requests at a time.
const CONCURRENCY: u64 = 8;

/// Loads the whole catalogue from a simulated service, with the real loader.
#[derive(Parser)]
struct Arguments {
    /// Then serve what was loaded until Ctrl-C, with a page to look up drivers, boards and records
    #[arg(long)]
    look: bool,

    /// Run the programs in this folder instead of building them
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,

    /// Folder to load into; its contents are removed first [default: target/demo]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Arguments {
    fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.programs.clone().map_or_else(|| programs::build(&["--bin", name], None), Ok)?;
        Ok(folder.join(name))
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("The demonstration failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = arguments.folder.clone();
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/demo"));
    programs::build_beside(REAPER)?;
    let loader = arguments.program("r3e-loader")?;
    let monitor = if arguments.look { Some(arguments.program("r3e-monitor")?) } else { None };
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
    if let Some(monitor) = monitor {
        return look(&monitor, &folder);
    }
    say("`r3e-monitor serve` has a page to look up drivers, boards and records. To see it: cargo demo -- --look");
    Ok(())
}

/// Serves the files in `folder` until a signal comes.
fn look(monitor: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let mut command = command(monitor, folder);
    // In a group of its own: a terminal's Ctrl-C is for this program, which then stops the server.
    command.process_group(0).stderr(Stdio::piped()).args(["serve", "--listen", "127.0.0.1:0"]);
    let mut server = command.spawn().with_context(|| format!("cannot run {}", monitor.display()))?;
    let log = server.stderr.take().context("the server has no log")?;

    // Either the server ends, or a signal comes.
    let (ended, event) = channel();
    let signalled = ended.clone();
    thread::spawn(move || {
        forward(log);
        let _unread = ended.send(());
    });
    thread::spawn(move || {
        signals.forever().next();
        let _unread = signalled.send(());
    });
    event.recv()?;
    kill(pid_of(server.id()), Signal::SIGTERM)?;
    let status = server.wait()?;
    ensure!(status.success(), "the server ended with {status}");
    Ok(())
}

/// Prints the address that the log names, and passes on all that follows.
fn forward(log: ChildStderr) {
    let mut address = None;
    for line in BufReader::new(log).lines().map_while(Result::ok) {
        if address.is_none() {
            address = line.split("listening on ").nth(1).and_then(|it| it.split(' ').next()).map(str::to_owned);
            if let Some(address) = &address {
                say(&format!("\nLook up drivers, boards and records at {address} and stop with Ctrl-C."));
                continue;
            }
        }
        warn(&line);
    }
}

/// Runs the loader in `folder`, with its progress and its summary on this terminal.
fn load(loader: &Path, folder: &Path, sim: &Simulator) -> anyhow::Result<()> {
    let status = command(loader, folder)
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

#[expect(clippy::print_stderr, reason = "the log of the server")]
fn warn(line: &str) {
    eprintln!("{line}");
}
