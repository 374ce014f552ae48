//! From the command line to the exit code.

use std::ffi::OsString;
use std::time::SystemTime;

use clap::CommandFactory as _;
use r3e_common::process::config::Config;
use r3e_common::process::exit::Exit;
use r3e_common::process::memory;
use r3e_common::process::notify::Supervisor;
use r3e_common::process::program::{configure, parse, say};
use r3e_common::process::signals;
use r3e_common::store::StoreError;

use crate::cli::{Arguments, Command};
use crate::commands::{self, Asked};
use crate::history::HistoryError;
use crate::{serve, top, watch};

/// Runs the program: results to standard output, everything else to standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    signals::unblock();
    // What ends early has been told.
    started(arguments).unwrap_or_else(|exit| exit)
}

fn started(arguments: impl IntoIterator<Item = OsString>) -> Result<Exit, Exit> {
    let arguments: Arguments = parse(arguments)?;
    if let Some(wrong) = arguments.out_of_place() {
        say(&format!("error: {wrong}"));
        return Err(Exit::Usage);
    }
    let config = configure(&arguments.config, arguments.own_flags())?;
    // Not before: the program may have executed itself anew for profiles, and still has the descriptor to take over then.
    let supervisor = match &arguments.command {
        Some(Command::Watch(it)) => it.supervisor()?,
        _ => Supervisor::default(),
    };
    run(arguments, &config, &supervisor).map_err(|error| {
        tracing::error!("{error:#}");
        exit_of(&error)
    })
}

/// The exit code that tells this error.
fn exit_of(error: &anyhow::Error) -> Exit {
    if let Some(error) = error.downcast_ref::<HistoryError>() {
        error.exit()
    } else if let Some(error) = error.downcast_ref::<serve::NotListening>() {
        error.exit()
    } else if error.is::<StoreError>() {
        Exit::Disk
    } else if error.is::<watch::Busy>() || error.is::<watch::Limited>() {
        Exit::TryAgain
    } else if error.is::<commands::Unknown>()
        || error.is::<commands::NoAccount>()
        || error.is::<commands::NotSeen>()
        || error.is::<top::NotHere>()
    {
        Exit::Usage
    } else {
        Exit::Unexpected
    }
}

/// For what may block: purges, files and the history.
const BLOCKING_THREADS: usize = 4;

fn run(arguments: Arguments, config: &Config, supervisor: &Supervisor) -> anyhow::Result<Exit> {
    let Some(command) = arguments.command else {
        say(&format!("error: expected a command\n\n{}", Arguments::command().render_help()));
        return Ok(Exit::Usage);
    };
    if let Err(error) = memory::check_tuning() {
        tracing::warn!(%error, "memory may be held longer than meant");
    }
    // One thread is enough to wait for answers.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .on_thread_park(memory::flush_if_asked)
        .build()?;
    let asked = Asked { config, json: arguments.json, clock: SystemTime::now };
    match command {
        Command::List => runtime.block_on(asked.list()),
        Command::Stats(it) => runtime.block_on(asked.stats(&it)),
        Command::Purge(it) => runtime.block_on(asked.purge(&it)),
        Command::Tasks(it) => runtime.block_on(asked.tasks(&it)),
        Command::Connections(it) => runtime.block_on(asked.connections(&it)),
        Command::Fds(it) => runtime.block_on(asked.fds(&it)),
        Command::History(it) => asked.history(&it),
        Command::Runs(it) => asked.runs(&it),
        Command::Heap(it) => runtime.block_on(asked.heap(&it)),
        Command::Profile(it) => runtime.block_on(asked.profile(&it)),
        Command::Top(it) => top::run(config, &runtime, &it, arguments.json),
        Command::Serve(_) => serve::run(config, &runtime, SystemTime::now),
        Command::Report(it) => runtime.block_on(asked.report(&it)),
        Command::Verdict(it) => asked.verdict(&it),
        Command::Watch(_) => watch::run(config, &runtime, supervisor, SystemTime::now),
    }
}
