//! The commands that print a result.

mod context;
mod heap;
mod live;
mod past;
mod verdict;

pub(crate) use context::Context;
