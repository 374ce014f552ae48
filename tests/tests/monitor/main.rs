//! The program `r3e-monitor`, run as people, scripts and supervisors run it, on real programs.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![expect(clippy::print_stdout, reason = "tests tell what they measured")]
#![allow(clippy::disallowed_methods, reason = "tests look at the disk, and damage it, without the programs' own code")]

mod cache_files;
mod chromium;
mod dashboard;
mod demo;
mod full;
mod heap;
mod http;
mod hung;
mod idle;
mod jobs;
mod killed;
mod labels;
mod lasting;
mod live;
mod lookup;
mod numbers;
mod place;
mod pprof;
mod serve;
mod terminal;
mod top;
mod verdict;
mod visit;
mod watch;
mod wrong_use;
