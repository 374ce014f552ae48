#![doc = include_str!("../README.md")]

mod answer;
mod cluster;
mod commit;
pub mod compact;
pub mod engine;
pub mod error;
pub mod files;
pub mod location;
pub mod parquet_file;
mod program;
pub mod questions;
pub mod record;
pub mod restore;
pub mod schema;
pub mod stats;
pub mod verify;

pub use program::main;
