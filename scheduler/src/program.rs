//! From the command line to the exit code.

use std::ffi::OsString;
use std::io;
use std::time::SystemTime;

use jiff::Timestamp;
use r3e_common::runtime::exit::Exit;
use r3e_common::runtime::fs::FsError;
use r3e_common::runtime::limits::LimitError;
use r3e_common::runtime::memory;
use r3e_common::runtime::notify::NOT_FOR_CHILDREN;
use r3e_common::runtime::program::{self, configure, parse, say};
use r3e_common::runtime::signals;

use crate::cli::{Arguments, Command};
use crate::job::Programs;
use crate::settled::SettledError;
use crate::{commands, life};

/// Runs the program: results to standard output, everything else to standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    signals::unblock();
    program::run(|| run(arguments))
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<Exit, Exit> {
    let arguments: Arguments = parse(arguments)?;
    if let Some(wrong) = arguments.out_of_place() {
        say(&format!("error: {wrong}"));
        return Err(Exit::Usage);
    }
    let loaded = configure(&arguments.config, Vec::new())?;
    // Not before: the program may have executed itself anew for profiles, and still has the descriptor to take over then.
    let supervisor = arguments.supervisor.supervisor()?;
    match &arguments.command {
        Some(Command::Next(asked)) => {
            return Ok(commands::next(&loaded.config, asked, arguments.json, Timestamp::now()));
        }
        Some(Command::Check) => return Ok(commands::check(&loaded.config, arguments.json, Timestamp::now())),
        None => {}
    }
    if let Err(error) = memory::check_tuning() {
        tracing::warn!(%error, "memory may be held longer than meant");
    }
    let (folder, arguments) = (arguments.programs, arguments.config);
    let programs = Programs { folder, arguments, not_inherited: &NOT_FOR_CHILDREN };
    life::run(loaded, programs, &supervisor, SystemTime::now).map_err(|error| {
        tracing::error!("{error:#}");
        exit_of(&error)
    })
}

/// The exit code that tells this error.
fn exit_of(error: &anyhow::Error) -> Exit {
    if let Some(error) = error.downcast_ref::<SettledError>() {
        error.exit()
    } else if let Some(error) = error.downcast_ref::<FsError>() {
        Exit::of_store(error)
    } else if let Some(error) = error.downcast_ref::<LimitError>() {
        error.exit()
    } else if let Some(error) = error.downcast_ref::<io::Error>() {
        Exit::of_system(error)
    } else if error.is::<life::Busy>() {
        Exit::TryAgain
    } else {
        Exit::Unexpected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn every_error_has_its_exit_code() {
        let store = || FsError::new("write", std::path::Path::new("x"), io::ErrorKind::StorageFull.into());
        let table: [(anyhow::Error, Exit); 5] = [
            (SettledError::Newer { path: "x".into(), found: 9 }.into(), Exit::Configuration),
            (SettledError::Store(store()).into(), Exit::Disk),
            (store().into(), Exit::Disk),
            (life::Busy("x".into()).into(), Exit::TryAgain),
            (io::Error::from(io::ErrorKind::WouldBlock).into(), Exit::Unexpected),
        ];
        for (error, exit) in table {
            assert_eq!(exit_of(&error), exit, "{error}");
            assert_eq!(exit_of(&error.context("more about it")), exit);
        }
    }
}
