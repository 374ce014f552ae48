//! From the command line to the exit code.

use std::ffi::OsString;
use std::time::{Duration, SystemTime};

use clap::CommandFactory as _;
use r3e_common::runtime::config::Loaded;
use r3e_common::runtime::exit::{Exit, Failure};
use r3e_common::runtime::limits;
use r3e_common::runtime::memory;
use r3e_common::runtime::notify::Supervisor;
use r3e_common::runtime::output::print_error;
use r3e_common::runtime::program::{self, configure, parse};

use crate::cli::{Arguments, Command};
use crate::commands::Context;
use crate::{serve, top, watch};

/// Runs the program: results to standard output, everything else to standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    program::run(|| started(arguments))
}

fn started(arguments: impl IntoIterator<Item = OsString>) -> Result<Exit, Exit> {
    let arguments: Arguments = parse(arguments)?;
    if let Some(wrong) = arguments.out_of_place() {
        print_error(&format!("error: {wrong}"));
        return Err(Exit::Usage);
    }
    let loaded = configure(&arguments.config, arguments.own_flags())?;
    // Only after `configure`, which may have re-executed the program with the descriptor still to be taken over.
    let supervisor = match &arguments.command {
        Some(Command::Watch(it)) => it.supervisor()?,
        Some(Command::Serve(it)) => it.supervisor.supervisor()?,
        _ => Supervisor::default(),
    };
    run(arguments, &loaded, &supervisor).map_err(Failure::report)
}

/// Threads for blocking work: purges, files and the history.
const BLOCKING_THREADS: usize = 4;

/// All threads, including those for signals, control socket, purge, samples and the terminal.
const THREADS: usize = BLOCKING_THREADS + 5;

fn run(arguments: Arguments, loaded: &Loaded, supervisor: &Supervisor) -> Result<Exit, Failure> {
    let Some(command) = arguments.command else {
        print_error(&format!("error: expected a command\n\n{}", Arguments::command().render_help()));
        return Ok(Exit::Usage);
    };
    memory::warn_if_not_tuned();
    limits::need_threads(THREADS)?;
    // One thread is enough to wait for answers.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .on_thread_park(memory::flush_if_asked)
        .build()?;
    let asked = Context { config: &loaded.config, json: arguments.json, clock: SystemTime::now };
    let ended = match command {
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
        Command::Top(it) => top::run(loaded, &runtime, &it, arguments.json),
        Command::Serve(_) => serve::run(loaded, &runtime, supervisor, SystemTime::now),
        Command::Report(it) => runtime.block_on(asked.report(&it)),
        Command::Verdict(it) => asked.verdict(&it),
        Command::Watch(_) => watch::run(loaded, &runtime, supervisor, SystemTime::now),
    };
    // A read from a hanging disk cannot be cancelled.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    use r3e_common::runtime::fs::FsError;

    use crate::history::HistoryError;

    #[test]
    fn every_error_has_its_exit_code() {
        let store = || FsError::new("write", std::path::Path::new("x"), io::ErrorKind::StorageFull.into());
        let cannot_listen = |kind| serve::NotListening { address: ([0; 4], 0).into(), cause: io::Error::from(kind) };
        let database =
            || HistoryError::Database { action: "open", path: "x".into(), cause: rusqlite::Error::InvalidQuery };
        let table: Vec<(Failure, Exit)> = vec![
            (HistoryError::Newer { path: "x".into(), found: 9, known: 1 }.into(), Exit::Configuration),
            (HistoryError::Foreign { path: "x".into() }.into(), Exit::Configuration),
            (HistoryError::Store(store()).into(), Exit::Disk),
            (database().into(), Exit::Disk),
            (store().into(), Exit::Disk),
            (cannot_listen(io::ErrorKind::AddrInUse).into(), Exit::TryAgain),
            (cannot_listen(io::ErrorKind::AddrNotAvailable).into(), Exit::Configuration),
            (cannot_listen(io::ErrorKind::PermissionDenied).into(), Exit::Configuration),
            (cannot_listen(io::ErrorKind::OutOfMemory).into(), Exit::Unexpected),
            (watch::Busy("x".into()).into(), Exit::TryAgain),
            (top::TopError::Json.into(), Exit::Usage),
            (io::Error::from(io::ErrorKind::WouldBlock).into(), Exit::Unexpected),
        ];
        for (error, exit) in table {
            assert_eq!(error.exit(), exit, "{error}");
        }
    }
}
