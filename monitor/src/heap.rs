//! Heap profiles: reading what a process dumped ([`dump`]), naming its functions from the executable's tables
//! ([`symbols`], [`modules`]), and showing it: as a table, as a file for `go tool pprof` ([`pprof`]), as a flame graph
//! ([`flame`]), and what grew between two saved ones ([`Profile::minus`]). Nothing here asks a process anything.

mod dump;
mod flame;
mod flame_tree;
mod machinery;
mod modules;
mod name;
mod pprof;
mod profile;
mod symbols;
mod top;

pub(crate) use dump::{Dump, MAX_DUMP_BYTES};
pub(crate) use flame::draw;
pub(crate) use modules::symbolise;
pub(crate) use pprof::{read, write};
pub(crate) use profile::{Account, Profile};
pub(crate) use top::{Function, functions};
