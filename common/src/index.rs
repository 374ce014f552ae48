//! The index: every driver's results, built from the cached boards and streamed out as files.
//!
//! All cores read boards, each thread into its own shard (`shard`): fixed-width rows that refer to interned strings. Shards
//! are never merged; `order` sorts the rows of all shards. Shards and order together are the `columns`, from which every
//! kind of published file is written (`writer`, `export`). The output depends only on the cache, not on the number of
//! threads or the available memory.
//!
//! Under a memory limit (`headroom`), `ranges` splits the keys into ranges and reads the cache once for each; writers then
//! write one range after another. If a range turns out to be too large, its `pass` lowers the upper bound as it reads.

mod blocks;
mod boards;
mod chunks;
mod columns;
mod combinations;
mod country;
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
mod range_scan;
mod ratings;
mod row_objects;
mod rows;
mod sample;
mod shard;
mod sort_key;
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
pub use range_scan::{RangeScan, Source, build};
pub use writer::Exported;
