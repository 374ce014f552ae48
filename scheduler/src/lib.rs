#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests look at the disk without the program's own code"))]

mod agenda;
pub mod calendar;
mod child;
mod cli;
mod commands;
mod engine;
mod guard;
mod job;
mod life;
mod output;
mod program;
mod reload;
pub mod saved_state;
pub mod timetable;
mod trigger;

pub use cli::{Arguments, Command};
pub use program::main;
