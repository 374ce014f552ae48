//! What loader and refresher share: a job from its command line to its exit code.
//!
//! [`run_job`] takes a program's [`Plan`] and does the rest: open, publish what is staged, fetch, publish, report, close. This is
//! the top floor: it may use every other room, and none uses it.

mod error;
mod fetch;
mod lifecycle;
mod program;
mod progress;
mod progress_bar;
mod publish;
mod report;
mod run;
mod status;

pub use error::JobError;
pub use fetch::{Arrivals, End, FailedBoard, Fetched, Fetcher, FetcherError};
pub use lifecycle::{Job, load_catalog};
pub use program::{JobArgs, run_job};
pub use progress::{Progress, Snapshot};
pub use progress_bar::Style;
pub use publish::{HeadroomNow, PublishError, Published, Publisher, Totals};
pub use report::{Boards, Outcome, Summary};
pub use run::{Options, Plan, Scrape, run};
