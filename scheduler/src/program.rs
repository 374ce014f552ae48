//! From the command line to the exit code.

use std::ffi::OsString;

use jiff::Timestamp;
use r3e_common::process::exit::Exit;
use r3e_common::process::program::{configure, parse};

use crate::cli::{Arguments, Command};
use crate::commands;

/// Runs the program: results to standard output, everything else to standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    // What ends early has been told.
    run(arguments).unwrap_or_else(|exit| exit)
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<Exit, Exit> {
    let arguments: Arguments = parse(arguments)?;
    let config = configure(&arguments.config, Vec::new())?;
    match &arguments.command {
        Some(Command::Next(asked)) => Ok(commands::next(&config, asked, arguments.json, Timestamp::now())),
        Some(Command::Check) => Ok(commands::check(&config, arguments.json, Timestamp::now())),
        None => Ok(Exit::Done),
    }
}
