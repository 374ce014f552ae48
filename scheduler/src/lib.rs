#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests look at the disk without the program's own code"))]

pub mod calendar;
mod cli;
mod commands;
mod program;
pub mod settled;
pub mod timetable;

pub use cli::{Arguments, Command};
pub use program::main;
