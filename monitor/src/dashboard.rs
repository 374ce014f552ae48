//! What the dashboard shows, and its page: the same for the server, which answers the page's questions, and for a report,
//! which has the answers in it. Nothing here writes, except the report.

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
pub(crate) use work::{Origin, Work, read_runs, read_status};
