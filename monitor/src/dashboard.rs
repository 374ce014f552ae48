//! The page of the dashboard and its data. The server answers the page's requests; a report contains the data.

mod assets;
mod now;
mod past;
mod report;
mod verdicts;
mod work;

pub(crate) use assets::{ASSETS, Asset, LOOKUP, PAGE};
pub(crate) use now::now;
pub(crate) use past::{SLOTS, past};
pub(crate) use report::write_report;
pub(crate) use verdicts::verdicts;
pub(crate) use work::{Work, read_archive, read_runs, read_status};
