//! The index: every driver's results, built from the cached boards and streamed out as files.
//!
//! Boards are read by all cores, each thread into a shard of its own (`shard`): fixed-width rows that refer to
//! strings stored once. Nothing is merged; `order` only finds the order in which rows of all shards are written,
//! and `export` formats and compresses them in blocks. What comes out depends on the cache alone, never on the
//! number of threads.
//!
//! Within a budget (`budget`), rows are not held but wait as records (`record`) in a fixed piece of memory (`collect`),
//! which is sorted and written as a run when it is full (`runs`); `merge` reads all runs as one, and `stream` writes the
//! same bytes from that.

mod blocks;
mod budget;
mod build;
mod collect;
mod export;
#[cfg(fuzzing)]
pub mod fuzzing;
mod generation;
mod gzip;
mod intern;
mod merge;
mod order;
mod output;
mod packed;
mod parallel;
mod record;
mod rows;
mod runs;
mod shard;
mod sorted;
mod stream;
#[cfg(test)]
mod tests;

pub use budget::Budget;
pub use build::{BoardState, Built, Damaged, IndexError, build};
pub use export::{DRIVER_INDEX, Exported, TOP_COMBINATIONS, export};
pub use generation::Generation;
pub use gzip::NotCompressed;
