//! What makes a program of ours a good process: its configuration, its log, its exit code, how it stops, what memory it
//! holds, the socket that it is asked at, what it tells its supervisor, the record that it leaves, and what a job opens at its
//! beginning and closes at its end.
//!
//! The outermost room: it may use all others, and none of them uses it.

pub mod config;
pub mod control;
pub mod cron;
pub mod exit;
pub mod job;
pub mod limits;
pub mod logging;
pub mod memory;
pub mod notify;
pub mod pid_namespace;
pub mod program;
pub mod progress;
pub mod run_record;
pub mod shutdown;
pub mod signals;
