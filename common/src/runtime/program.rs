//! What all programs have in common, from the command line to the exit code. Results go to standard output, everything else to standard
//! error.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::config::{ConfigArgs, Environment, Flag, Loaded};
use super::exit::{Exit, Fatal as _};
use super::output::{print, print_error};
use super::{limits, logging, memory, signals};

/// Runs a program to its exit code, which is an error if it ended early and has reported why. A panic is an unexpected error. Call this
/// before starting any thread.
#[must_use]
pub fn run(program: impl FnOnce() -> Result<Exit, Exit>) -> Exit {
    signals::unblock();
    // Nothing of the program is used after a panic.
    let Ok(ended) = catch_unwind(AssertUnwindSafe(program)) else {
        print_error("error: this program panicked, which is a bug: please report the message above");
        return Exit::Unexpected;
    };
    ended.unwrap_or_else(|exit| exit)
}

/// Parses the command line.
///
/// # Errors
/// The exit code, if help or version were printed, or the command line is invalid.
pub fn parse<A: clap::Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<A, Exit> {
    A::try_parse_from(arguments).map_err(|message| {
        // Help and version are also messages, but go to standard output and are no errors.
        let _closed = message.print();
        if message.use_stderr() { Exit::Usage } else { Exit::Done }
    })
}

/// Loads the configuration, from the program's `own` flags too, and sets up the log.
///
/// # Errors
/// The exit code, if the configuration is invalid or a system limit too low, which is reported, or after `--print-config`.
pub fn configure(arguments: &ConfigArgs, own: Vec<Flag>) -> Result<Loaded, Exit> {
    limits::prepare().map_err(|error| {
        print_error(&format!("error: {error}"));
        error.exit()
    })?;
    let environment = Environment::of_process();
    let loaded = arguments.load_with(own, &environment).map_err(|errors| {
        print_error(&errors.to_string());
        Exit::Configuration
    })?;
    let config = &loaded.config;
    let log = logging::Options::for_stderr(config.log.level, config.log.format, &environment);
    if let Err(error) = logging::init(log) {
        print_error(&error.to_string());
    }
    if arguments.print_config {
        return Err(print(&loaded.to_toml(), Exit::Done));
    }
    // Before anything is opened, since this may execute the program again.
    if let Err(error) = memory::profile::prepare(config.memory.profile) {
        tracing::warn!(%error, "running without heap profiles");
    }
    Ok(loaded)
}
