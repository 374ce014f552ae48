//! What any program needs to live: configuration, logging, exit codes, shutdown, supervisor notification, memory, files, tasks, the
//! control socket, and the record that a run leaves.
//!
//! The ground floor: it knows nothing of boards, and uses no other room.

pub mod blocking;
pub mod concurrency_limit;
pub mod config;
pub mod control;
pub mod cron;
pub mod daemon;
pub mod exit;
pub mod fs;
pub mod limits;
pub mod logging;
pub mod memory;
pub mod notify;
pub mod output;
pub mod periodic;
pub mod pid_namespace;
pub(crate) mod planted;
pub mod program;
pub mod run_record;
pub mod shutdown;
pub mod signals;
pub mod tasks;
mod timestamp;

pub use timestamp::{NEVER, timestamp};
