//! The history on disk: what processes held and what runs came to, in one SQLite file that one process writes and any
//! number read meanwhile (write-ahead log).

mod after_purges;
mod age;
mod damaged;
mod error;
mod latest;
mod read;
mod records;
mod schema;
mod series;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use after_purges::{AfterPurges, Process};
pub(crate) use damaged::set_aside;
pub(crate) use error::HistoryError;
pub(crate) use latest::latest_runs;
pub(crate) use read::{Condensed, MAX_CONDENSED, Reader, SampleRow};
pub(crate) use records::{Run, Unusable, not_taken_in};
pub(crate) use schema::lock_path;
pub(crate) use series::{Point, Series, Thinned};
pub(crate) use write::{Batch, Sample, Writer, started_ms};

use std::time::{Duration, SystemTime};

/// In milliseconds since 1970, as the history tells moments.
pub(crate) fn milliseconds(time: SystemTime) -> i64 {
    whole_ms(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// In milliseconds, as the history tells how long something is.
pub(crate) fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
