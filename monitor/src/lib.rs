#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests look at the disk without the program's own code"))]

mod ask;
mod cli;
mod commands;
mod dashboard;
mod heap;
mod history;
mod kernel;
mod peer;
mod program;
mod report;
mod serve;
mod sockets;
mod survey;
mod top;
pub mod verdict;
mod watch;

pub use cli::{Arguments, Command};
pub use program::main;
pub use report::{bytes, growth};
