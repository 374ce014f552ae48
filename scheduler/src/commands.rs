//! What can be asked for instead of scheduling: when runs are due, and whether a start would succeed.

mod report;
#[cfg(test)]
mod tests;

use std::path::{Path, absolute};

use jiff::Timestamp;
use r3e_common::job::load_catalog;
use r3e_common::runtime::config::Config;
use r3e_common::runtime::exit::{Exit, Failure};
use r3e_common::runtime::output::print;

use crate::calendar::Calendar;
use crate::cli::NextArguments;
use crate::settled;
use crate::timetable::Timetable;

use report::{Run, Summary, Upcoming, Waiting};

/// `next`
pub(crate) fn next(config: &Config, asked: &NextArguments, json: bool, now: Timestamp) -> Exit {
    let calendar = Calendar::of(&config.schedule);
    let runs = Run::following(&calendar, now, asked.count);
    // Runs are due whatever is remembered.
    let settled = settled::load(&config.cache.staging_dir)
        .inspect_err(|error| tracing::warn!(%error, "whether a refresh waits is not known"));
    let pending = settled.ok().flatten().and_then(|it| it.pending);
    let waiting = pending.map(|pending| Waiting { pending, zone: calendar.zone(), now });
    let next = Upcoming { waiting, runs, schedule: &config.schedule };
    print(&if json { next.json() } else { next.text() }, Exit::Done)
}

/// `check`: all that a start reads before its first run. What is wrong with the configuration itself has been told by now.
pub(crate) fn check(config: &Config, json: bool, now: Timestamp) -> Exit {
    let catalog = match load_catalog(config) {
        Ok(catalog) => catalog,
        Err(error) => return Failure::from(error).report(),
    };
    let settled = match settled::load(&config.cache.staging_dir) {
        Ok(settled) => settled,
        Err(error) => return Failure::from(error).report(),
    };
    let calendar = Calendar::of(&config.schedule);
    let settled_at = settled.map(|it| it.at);
    let look = Timetable::new(calendar.clone(), config.schedule.catch_up, settled_at, now).look(now);
    let pending = settled.and_then(|it| it.pending);
    let summary = Summary {
        waiting: pending.map(|pending| Waiting { pending, zone: calendar.zone(), now }),
        schedule: &config.schedule,
        next: Run::following(&calendar, now, 1).pop(),
        calendar: &calendar,
        due: look.due,
        boards: catalog.len(),
        catalog: config.catalog.path.as_deref().map(whole),
        cache: whole(&config.cache.dir),
        staging: whole(&config.cache.staging_dir),
    };
    print(&if json { summary.json() } else { summary.text() }, Exit::Done)
}

/// A path with the working directory before it, where it does not begin at the root.
fn whole(path: &Path) -> String {
    absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
