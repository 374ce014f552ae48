//! The loader, end to end: the real program, over real sockets and real files.
#![expect(clippy::unwrap_used, reason = "all of this is tests")]
#![allow(clippy::disallowed_methods, reason = "tests make and damage files in ways that the store does not")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod catalogue;
mod damage;
mod faults;
mod golden;
mod interrupted;
mod usage;

use std::path::Path;
use std::time::Duration;

use r3e_common::domain::Catalog;
use r3e_tests::harness::{Loader, small_catalog};
use r3e_tests::sim::{SimOptions, Simulator};

/// A simulator with 144 boards, and a loader for it.
fn small(folder: &Path, options: SimOptions) -> (Simulator, Loader) {
    let catalog: Catalog = small_catalog(12, 12);
    let options = SimOptions { catalog: catalog.clone(), entries: 12_000, drivers: 4_000, ..options };
    let sim = Simulator::start(options).unwrap();
    let loader = Loader::new(folder).upstream(&sim.base_url()).catalog(&catalog);
    (sim, loader)
}

/// Answers that take a moment, so that a run takes a while.
fn slow() -> SimOptions {
    SimOptions { latency: Duration::from_millis(10), ..SimOptions::default() }
}
