//! The history: samples of processes and results of runs, in one SQLite file that one process writes while any number read it
//! (write-ahead log). Times are in milliseconds since 1970.

mod after_purges;
mod age;
mod damaged;
mod error;
mod jobs;
mod latest_runs;
mod read;
mod records;
mod schema;
mod series;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use after_purges::Process;
pub(crate) use damaged::set_aside;
pub(crate) use error::HistoryError;
pub(crate) use jobs::{Job, jobs};
pub(crate) use latest_runs::latest_runs;
pub(crate) use read::{Condensed, MAX_CONDENSED, Reader, SampleRow};
pub(crate) use records::{Found, RecordError, Run, unread_records};
pub(crate) use schema::lock_path;
pub(crate) use series::{Point, Series, Thinned};
pub(crate) use write::{Batch, Sample, Writer, started_ms};

use std::time::{Duration, SystemTime};

/// A time of the history.
pub(crate) fn milliseconds(time: SystemTime) -> i64 {
    whole_ms(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// A duration of the history.
pub(crate) fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
