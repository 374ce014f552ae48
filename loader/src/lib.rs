#![doc = include_str!("../README.md")]

mod catalog;
mod cli;
mod plan;
mod program;

pub use cli::{Arguments, Command};
pub use plan::Choice;
pub use program::main;
