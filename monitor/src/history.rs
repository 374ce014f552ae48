//! The history on disk: what processes held and what runs came to, in one SQLite file that one process writes and any
//! number read meanwhile (write-ahead log).

mod after_purges;
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
pub(crate) use error::HistoryError;
pub(crate) use latest::latest_runs;
pub(crate) use read::{Condensed, MOST_CONDENSED, Reader, SampleRow};
pub(crate) use records::{Run, Unusable, not_taken_in};
pub(crate) use series::{Point, Series, Thinned};
pub(crate) use write::{Batch, Sample, Writer, started_ms};
