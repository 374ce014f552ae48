//! The soak: see `r3e_tests::soak`.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser as _;
use r3e_tests::soak::{Options, run};
use signal_hook::consts::{SIGINT, SIGTERM};

fn main() -> ExitCode {
    // The first signal ends it after the cycle, with a verdict; the second one at once.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let registered = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)));
        if let Err(error) = registered {
            return failed(&error.into());
        }
    }
    match run(&Options::parse(), &stop) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    // Nobody may be left to read it.
    let _unread = writeln!(std::io::stderr(), "The soak failed: {error:#}");
    ExitCode::FAILURE
}
