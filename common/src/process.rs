//! What makes a program of ours a good process: its configuration, how it logs, and the exit code it ends with.
//!
//! Nothing here knows a board, a file of the cache or the service; nothing below this module uses it.

pub mod config;
pub mod exit;
pub mod logging;
