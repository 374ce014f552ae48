//! From the command line to the exit code.

use std::collections::BTreeSet;
use std::ffi::OsString;

use r3e_common::domain::{Ordinal, Selection};
use r3e_common::job::load_catalog;
use r3e_common::job::run_job;
use r3e_common::runtime::config::Config;
use r3e_common::runtime::exit::{Exit, Failure};
use r3e_common::runtime::output::print;
use r3e_common::runtime::program::{self, configure, parse};

use crate::catalog;
use crate::cli::{Arguments, Command};
use crate::plan::Choice;

/// Runs the program: results to standard output, everything else to standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    program::run(|| run(arguments))
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<Exit, Exit> {
    let arguments: Arguments = parse(arguments)?;
    let loaded = configure(&arguments.config, Vec::new())?;
    if let Some(Command::Catalog(asked)) = arguments.command {
        let job = arguments.job.wait.is_some() || arguments.job.parent.is_some();
        if arguments.cached_only || arguments.only.is_some() || job {
            tracing::error!("--cached-only, --only, --wait and --parent do not apply to catalog");
            return Err(Exit::Usage);
        }
        let text = catalog::run(asked.command, loaded.config, arguments.job.json)
            .map_err(|error| Failure::from(error).report())?;
        return Ok(print(&text, Exit::Done));
    }
    let only = arguments.only.as_ref().map(|text| chosen(text, &loaded.config)).transpose()?;
    let choice = Choice { cached_only: arguments.cached_only, only };
    let doing = if choice.cached_only { "exporting the cached boards" } else { "loading" };
    let quiet = arguments.config.quiet;
    Ok(run_job(("r3e-loader", doing.to_owned()), &loaded, arguments.job, quiet, |job, states| {
        Ok(choice.plan(&loaded.config, job, states))
    }))
}

/// The boards of `--only`. An invalid one is an error.
fn chosen(text: &str, config: &Config) -> Result<BTreeSet<Ordinal>, Exit> {
    let catalog = load_catalog(config).map_err(|error| Failure::from(error).report())?;
    let Selection { boards, refused } = Selection::parse(text, &catalog);
    for refused in &refused {
        tracing::error!("--only: {refused}");
    }
    if boards.is_empty() && refused.is_empty() {
        tracing::error!("--only {text:?}: expected at least one track (1693) or board (5276-8600)");
    }
    if boards.is_empty() || !refused.is_empty() { Err(Exit::Usage) } else { Ok(boards) }
}
