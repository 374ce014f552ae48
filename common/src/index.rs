//! The index: every driver's results, built from the cached boards and streamed out as files.
//!
//! Boards are read by all cores, each thread into a shard of its own (`shard`): fixed-width rows that refer to
//! strings stored once. Nothing is merged; `order` only finds the order in which rows of all shards are written,
//! and `export` formats and compresses them in blocks. What comes out depends on the cache alone, never on the
//! number of threads.

mod build;
mod export;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gzip;
mod intern;
mod order;
mod packed;
mod parallel;
mod shard;

pub use build::{BoardState, Built, Damaged, IndexError, build};
pub use export::{DRIVER_INDEX, Exported, TOP_COMBINATIONS, export};
