//! The index: every driver's results, built from the cached boards and streamed out as files.
//!
//! Boards are read by all cores, each thread into a shard of its own (`shard`): fixed-width rows that refer to
//! strings stored once. Nothing is merged; `order` only finds the order in which rows of all shards are written.
//! Shards and order are the `columns` that every kind of published file is written from (`writer`, `export`). What comes
//! out depends on the cache alone, never on the number of threads nor on the memory.
//!
//! Where memory is limited (`headroom`), `ranges` reads the cache once for each range of keys, and writers write one range
//! after the other. A `pass` that finds its range too large lowers the upper end as it goes.

mod blocks;
mod boards;
mod chunks;
mod columns;
mod combinations;
mod drivers;
mod error;
mod export;
#[cfg(fuzzing)]
pub mod fuzzing;
mod generation;
mod gzip;
mod headroom;
mod intern;
mod key;
mod keying;
mod metadata;
mod mirror;
mod moment;
mod names;
mod objects;
mod order;
mod output;
mod packed;
mod parallel;
mod pass;
mod publication;
mod ranges;
mod row_objects;
mod rows;
mod sample;
mod shard;
mod split;
mod staged;
mod stale;
mod statistics;
mod teams;
#[cfg(test)]
mod tests;
mod writer;

pub use crate::store::{DRIVER_INDEX, TOP_COMBINATIONS};
pub use boards::{BoardState, Built, Damaged};
pub use error::IndexError;
pub use export::export;
pub use generation::Generation;
pub use gzip::NotCompressed;
pub use headroom::Headroom;
pub use publication::Fingerprint;
pub use ranges::{Ranges, Source, build};
pub use writer::Exported;
