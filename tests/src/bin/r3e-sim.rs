//! The simulated leaderboard service as a program.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use r3e_common::runtime::fs::write_whole;
use r3e_tests::sim::cli::{Arguments, Failure};
use r3e_tests::sim::{SimError, Simulator};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody may be left to read it.
            let _unread = writeln!(std::io::stderr(), "error: {failure}");
            failure.exit_code()
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let (seconds, ca_file) = (arguments.seconds, arguments.ca_file.clone());
    let simulator = Simulator::start(arguments.options()?)?;
    if let (Some(path), Some(pem)) = (ca_file, simulator.ca_pem()) {
        write_whole(&path, pem.as_bytes()).map_err(Failure::CaFile)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SimError::Thread)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(SimError::Thread)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(SimError::Thread)?;
        let mut out = std::io::stdout();
        // Who started it may not read; it serves all the same.
        let _unread = writeln!(out, "listening on {}", simulator.base_url()).and_then(|()| out.flush());
        let time_is_up = async {
            match seconds {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = time_is_up => {}
        }
        Ok(())
    })
}
