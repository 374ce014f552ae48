//! The commands: `next` shows when runs are due, `check` whether a start would succeed.

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
use crate::saved_state;
use crate::timetable::Timetable;

use report::{Run, Summary, Upcoming, Waiting};

/// `next`
pub(crate) fn next(config: &Config, asked: &NextArguments, json: bool, now: Timestamp) -> Exit {
    let calendar = Calendar::of(&config.schedule);
    let runs = Run::following(&calendar, now, asked.count);
    // Upcoming runs do not depend on the saved state.
    let state = saved_state::load(&config.cache.staging_dir)
        .inspect_err(|error| tracing::warn!(%error, "cannot determine whether a refresh waits"));
    let pending = state.ok().flatten().and_then(|it| it.pending);
    let waiting = pending.map(|pending| Waiting { pending, zone: calendar.zone(), now });
    let next = Upcoming { waiting, runs, schedule: &config.schedule };
    print(&if json { next.json() } else { next.text() }, Exit::Done)
}

/// `check`: reads everything that a start reads. Errors of the configuration itself have been reported by now.
pub(crate) fn check(config: &Config, json: bool, now: Timestamp) -> Exit {
    let catalog = match load_catalog(config) {
        Ok(catalog) => catalog,
        Err(error) => return Failure::from(error).report(),
    };
    let state = match saved_state::load(&config.cache.staging_dir) {
        Ok(state) => state,
        Err(error) => return Failure::from(error).report(),
    };
    let calendar = Calendar::of(&config.schedule);
    let settled_at = state.map(|it| it.settled_at);
    let advance = Timetable::new(calendar.clone(), config.schedule.catch_up, settled_at, now).advance(now);
    let pending = state.and_then(|it| it.pending);
    let summary = Summary {
        waiting: pending.map(|pending| Waiting { pending, zone: calendar.zone(), now }),
        schedule: &config.schedule,
        next: Run::following(&calendar, now, 1).pop(),
        calendar: &calendar,
        due: advance.due,
        boards: catalog.len(),
        catalog: config.catalog.path.as_deref().map(absolute_text),
        cache: absolute_text(&config.cache.dir),
        staging: absolute_text(&config.cache.staging_dir),
    };
    print(&if json { summary.json() } else { summary.text() }, Exit::Done)
}

/// An absolute path.
fn absolute_text(path: &Path) -> String {
    absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
