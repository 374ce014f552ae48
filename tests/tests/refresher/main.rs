//! The program `r3e-refresher`, run as people and scripts run it, against the simulated service.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![allow(clippy::disallowed_methods, reason = "tests look at the disk, and change it, without the programs' own code")]

mod boards;
mod full;
mod incremental;
mod memory;
mod pages;
mod ratings;
mod resumed;
mod versions;
mod wrong_use;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use r3e_common::domain::Combination;
use r3e_tests::harness::{Invocation, Place, age, board_file, grid};
use r3e_tests::sim::{SimOptions, Simulator};

/// A service with that many tracks and classes, and a cache that has all of it.
fn loaded(side: u32, options: SimOptions) -> (Simulator, Place) {
    loaded_by(side, options, |loader| loader)
}

/// Like [`loaded`], but `set_up` configures the loader.
fn loaded_by(side: u32, options: SimOptions, set_up: impl Fn(Invocation) -> Invocation) -> (Simulator, Place) {
    let catalog = grid(side, side);
    let place = Place::with_catalog(&catalog);
    let sim = Simulator::start(SimOptions { catalog, ..options }).unwrap();
    let _ended = set_up(place.loader(&sim.base_url())).run().with_code(0);
    sim.reset_stats();
    (sim, place)
}

/// So many entries, of fewer drivers.
fn sized(entries: u64) -> SimOptions {
    SimOptions { entries, drivers: 300, ..SimOptions::default() }
}

/// The boards with entries, in catalogue order.
fn filled(sim: &Simulator) -> Vec<Combination> {
    sim.world().boards().filter(|board| !board.is_empty()).map(|board| board.combination()).collect()
}

/// Changes these boards at the service.
fn change(sim: &Simulator, boards: &[Combination]) {
    for &board in boards {
        sim.change_board(board).unwrap();
    }
}

/// The inode and modification time of the file at each board's path. A replaced file has a different inode.
fn files(place: &Place, sim: &Simulator) -> BTreeMap<Combination, (u64, SystemTime)> {
    let of_board = |board| {
        let metadata = board_file(&place.cache(), board).metadata().unwrap();
        (board, (metadata.ino(), metadata.modified().unwrap()))
    };
    sim.world().catalog().combinations().map(of_board).collect()
}

/// The boards whose file was replaced.
fn rewritten(
    before: &BTreeMap<Combination, (u64, SystemTime)>,
    now: &BTreeMap<Combination, (u64, SystemTime)>,
) -> Vec<Combination> {
    before.keys().copied().filter(|board| before[board].0 != now[board].0).collect()
}

/// Sets the modification time of every board to an hour ago.
fn age_all(place: &Place, sim: &Simulator) {
    for board in sim.world().catalog().combinations() {
        age(&board_file(&place.cache(), board), Duration::from_hours(1));
    }
}

fn sorted(mut boards: Vec<Combination>) -> Vec<Combination> {
    boards.sort_unstable();
    boards
}
