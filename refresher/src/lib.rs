#![doc = include_str!("../README.md")]

mod cli;
mod full;
mod incremental;
mod program;
mod tokens;

pub use cli::{Arguments, Command};
pub use program::main;
