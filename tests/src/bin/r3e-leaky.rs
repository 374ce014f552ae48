//! A program that leaks at a known rate, or not at all, as a process of its own.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use r3e_tests::leaky::{Arguments, run};

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be left to read it.
            let _unread = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
