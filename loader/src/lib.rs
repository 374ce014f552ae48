#![doc = include_str!("../README.md")]

mod catalog;
mod cli;
mod load;
mod plan;
mod program;
mod report;

pub use cli::{Arguments, Command};
pub use load::{Options, load};
pub use program::main;
pub use report::{Boards, Outcome, Summary};
