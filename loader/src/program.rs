//! From the command line to the exit code.

use std::ffi::OsString;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use clap::Parser as _;
use r3e_common::domain::Selection;
use r3e_common::process::config::{Config, Environment};
use r3e_common::process::exit::Exit;
use r3e_common::process::job::{JobError, load_catalog};
use r3e_common::process::progress::Style;
use r3e_common::process::shutdown::Shutdown;
use r3e_common::process::{logging, memory};

use crate::catalog;
use crate::cli::{Arguments, Command};
use crate::load::{Options, load};
use crate::report::Outcome;

/// Runs the program: results to standard output, everything else to standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(told) => {
            // Also help and version, which go to standard output and are no error.
            let _closed = told.print();
            return if told.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let environment = Environment::of_process();
    let config = match arguments.config.load(&environment) {
        Ok(config) => config,
        Err(errors) => {
            say(&errors.to_string());
            return Exit::Configuration;
        }
    };
    let log = logging::Options::for_stderr(config.log.level, config.log.format, &environment);
    if let Err(error) = logging::init(log) {
        say(&error.to_string());
    }
    match run(arguments, config) {
        Ok(exit) => exit,
        Err(error) => {
            tracing::error!("{error:#}");
            error.downcast_ref::<JobError>().map_or(Exit::Unexpected, JobError::exit)
        }
    }
}

/// Standard error, before there is a log. Where it is closed there is no one to tell.
fn say(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{text}");
}

fn run(arguments: Arguments, config: Config) -> anyhow::Result<Exit> {
    if arguments.config.print_config {
        return Ok(print(&config.render(), Exit::Done));
    }
    if let Some(Command::Catalog(asked)) = arguments.command {
        if arguments.cached_only || arguments.only.is_some() {
            tracing::error!("--cached-only and --only say how to load: they cannot be used with catalog");
            return Ok(Exit::Usage);
        }
        return Ok(print(&catalog::run(asked.command, config, arguments.json)?, Exit::Done));
    }
    let only = match &arguments.only {
        None => None,
        Some(text) => {
            let Selection { boards, refused } = Selection::parse(text, &load_catalog(&config)?);
            for refused in &refused {
                tracing::error!("--only: {refused}");
            }
            if boards.is_empty() && refused.is_empty() {
                tracing::error!("--only {text:?}: expected at least one track (1693) or board (5276-8600)");
            }
            if boards.is_empty() || !refused.is_empty() {
                return Ok(Exit::Usage);
            }
            Some(boards)
        }
    };
    if let Err(error) = memory::check_tuning() {
        tracing::warn!(%error, "memory may be held longer than meant");
    }
    let style = Style::for_stderr(arguments.config.quiet);
    let options = Options { cached_only: arguments.cached_only, only, style, clock: SystemTime::now };

    let shutdown = Shutdown::listen(config.runtime.stop_grace)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().on_thread_park(memory::flush_if_asked).build()?;
    let summary = runtime.block_on(load(&config, &options, shutdown.token().clone()))?;
    // A name that is being looked up cannot be called off.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let exit = summary.outcome.exit(shutdown.exit());
    if let Outcome::Unavailable(why) = &summary.outcome {
        tracing::error!("the service is unavailable: {why}");
    }
    let result = if arguments.json { format!("{}\n", summary.to_json(exit)) } else { summary.to_string() };
    let exit = print(&result, exit);
    // Until here a signal bounds the time that a reader of our output has.
    drop(shutdown);
    Ok(exit)
}

/// Writes the result. A reader that has left is no failure of the work, whose exit code stays what it is.
fn print(result: &str, exit: Exit) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(result.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            tracing::error!("cannot write the result to standard output: {error}");
            if exit == Exit::Done { Exit::Unexpected } else { exit }
        }
        _ => exit,
    }
}
