#![doc = include_str!("../README.md")]

mod ask;
mod cli;
mod commands;
mod history;
mod kernel;
mod program;
mod report;
mod sockets;
mod stats;
mod survey;
mod watch;

pub use cli::{Arguments, Command};
pub use program::main;
