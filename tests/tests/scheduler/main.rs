//! The real scheduler, with real jobs and with scripted fake jobs.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![expect(clippy::print_stdout, reason = "tests tell what they measured")]
#![allow(clippy::disallowed_methods, reason = "tests look at the disk, and damage it, without the programs' own code")]

mod after;
mod clock;
mod commands;
mod jobs;
mod killed;
mod many;
mod place;
mod real;
mod signals;
mod stops;
mod trigger;
