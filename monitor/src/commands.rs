//! The commands that print a result.

mod context;
mod heap;
mod live;
mod past;

pub(crate) use context::Context;
