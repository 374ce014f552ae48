//! From the command line to the exit code: what all programs do alike. Results go to standard output, everything else to
//! standard error.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::config::{ConfigArgs, Environment, Flag, Loaded};
use super::exit::{Exit, Fatal as _};
use super::output::{print, say};
use super::{limits, logging, memory};

/// Runs a program to its exit code, which is an error where it ended early and has said why. A panic, whose message stands on
/// standard error, is what nobody expected.
#[must_use]
pub fn run(program: impl FnOnce() -> Result<Exit, Exit>) -> Exit {
    // Nothing that it held is looked at again.
    let Ok(ended) = catch_unwind(AssertUnwindSafe(program)) else {
        say("error: this program panicked, which is a fault of its own: please report the message above");
        return Exit::Unexpected;
    };
    ended.unwrap_or_else(|exit| exit)
}

/// Parses the command line.
///
/// # Errors
/// With the exit code, when there is nothing more to do: help or version were asked for, or it was not understood.
pub fn parse<A: clap::Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<A, Exit> {
    A::try_parse_from(arguments).map_err(|told| {
        // Also help and version, which go to standard output and are no error.
        let _closed = told.print();
        if told.use_stderr() { Exit::Usage } else { Exit::Done }
    })
}

/// Reads the configuration, with a program's own flags beside those that all have, and begins to log as it says.
///
/// # Errors
/// With the exit code, when it is wrong, or a limit of the system is too low, which has been said; or when it was only to be
/// shown.
pub fn configure(arguments: &ConfigArgs, own: Vec<Flag>) -> Result<Loaded, Exit> {
    limits::prepare().map_err(|error| {
        say(&format!("error: {error}"));
        error.exit()
    })?;
    let environment = Environment::of_process();
    let loaded = arguments.load_with(own, &environment).map_err(|errors| {
        say(&errors.to_string());
        Exit::Configuration
    })?;
    let config = &loaded.config;
    let log = logging::Options::for_stderr(config.log.level, config.log.format, &environment);
    if let Err(error) = logging::init(log) {
        say(&error.to_string());
    }
    if arguments.print_config {
        return Err(print(&loaded.to_toml(), Exit::Done));
    }
    // Before anything is open or begun: it may be that the program begins anew here.
    if let Err(error) = memory::profile::prepare(config.memory.profile) {
        tracing::warn!(%error, "there will be no heap profiles: working on without");
    }
    Ok(loaded)
}
