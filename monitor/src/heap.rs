//! Heap profiles: parses what a process dumped ([`dump`]), finds its functions ([`symbolise`]), and turns the result into
//! a table ([`functions`]), a file for `go tool pprof` ([`write`]), a flame graph ([`draw`]) or a difference
//! ([`Profile::minus`]). Asking a process for its dump is done elsewhere.

mod allocator;
mod dump;
mod flame;
mod name;
mod pprof;
mod profile;
mod symbolise;
mod top;

pub(crate) use dump::{Dump, MAX_DUMP_BYTES};
pub(crate) use flame::draw;
pub(crate) use pprof::{read, write};
pub(crate) use profile::{Profile, Summary};
pub(crate) use symbolise::symbolise;
pub(crate) use top::{Function, functions};
