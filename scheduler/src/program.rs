//! From the command line to the exit code.

use std::ffi::OsString;
use std::time::SystemTime;

use jiff::Timestamp;
use r3e_common::runtime::exit::{Exit, Failure};
use r3e_common::runtime::memory;
use r3e_common::runtime::notify::NOT_FOR_CHILDREN;
use r3e_common::runtime::output::print_error;
use r3e_common::runtime::program::{self, configure, parse};

use crate::cli::{Arguments, Command};
use crate::job::Programs;
use crate::{commands, guard, life};

/// Runs the program: results to standard output, everything else to standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if guard::is_meant(&arguments) {
        return guard::run();
    }
    program::run(|| run(arguments))
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<Exit, Exit> {
    let arguments: Arguments = parse(arguments)?;
    if let Some(wrong) = arguments.out_of_place() {
        print_error(&format!("error: {wrong}"));
        return Err(Exit::Usage);
    }
    let loaded = configure(&arguments.config, Vec::new())?;
    match &arguments.command {
        Some(Command::Next(asked)) => {
            return Ok(commands::next(&loaded.config, asked, arguments.json, Timestamp::now()));
        }
        Some(Command::Check) => return Ok(commands::check(&loaded.config, arguments.json, Timestamp::now())),
        None => {}
    }
    // After `configure`, which may have re-executed the program with the descriptor still to be taken over.
    let supervisor = arguments.supervisor.supervisor()?;
    memory::warn_if_not_tuned();
    let (folder, arguments) = (arguments.programs, arguments.config);
    let programs = Programs { folder, arguments, not_inherited: &NOT_FOR_CHILDREN };
    life::run(&loaded, programs, &supervisor, SystemTime::now).map_err(Failure::report)
}
