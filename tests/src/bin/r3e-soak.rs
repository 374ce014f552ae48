//! The soak: see `r3e_tests::soak`.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser as _;
use r3e_tests::soak::{NOT_FOUND, Options, run};
use signal_hook::consts::{SIGINT, SIGTERM};

fn main() -> ExitCode {
    // The first signal ends it after the cycle, with a verdict; the second one at once.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let registered = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)));
        if let Err(error) = registered {
            say(&error.into());
            return ExitCode::FAILURE;
        }
    }
    let options = Options::parse();
    let code = run(&options, &stop).unwrap_or_else(|error| {
        say(&error);
        if options.plants() { NOT_FOUND } else { 1 }
    });
    ExitCode::from(code)
}

fn say(error: &anyhow::Error) {
    // Nobody may be left to read it.
    let _unread = writeln!(std::io::stderr(), "The soak failed: {error:#}");
}
