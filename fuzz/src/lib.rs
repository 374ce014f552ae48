//! What each fuzz target does with the bytes it is given: reads them as the programs do, and checks what must hold of
//! whatever was read. A check that does not hold panics, which is a finding.
//!
//! `page`, `board_file`, `catalog`, `tokens`, `configuration` and `ratings` are the targets. [`model`] reads the same JSON in the
//! plain way, as a tree, so that there is something to compare with.

pub mod board_file;
pub mod catalog;
pub mod configuration;
pub mod model;
pub mod page;
pub mod ratings;
pub mod tokens;
