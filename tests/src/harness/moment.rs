//! Moments of a run that can be observed from outside, at which a test may inject a fault.

use std::fs;
use std::path::Path;

use super::place::Place;
use crate::sim::Simulator;

/// The event that a test waits for before it acts.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// The simulator has received this many requests.
    Requests(u64),
    /// The cache has this many boards.
    Promoted(usize),
    /// Staging has this many boards.
    Staged(usize),
    /// A temporary file whose name contains this text exists in the cache.
    Writing(&'static str),
}

impl Moment {
    /// A random moment of a run that fetches `boards` boards: after some requests, promoted or staged boards, or while a
    /// published file is being written.
    ///
    /// # Panics
    /// If there are fewer than two boards.
    #[must_use]
    pub fn draw(random: &mut fastrand::Rng, boards: usize) -> Self {
        match random.u8(0..5) {
            0 | 1 => Self::Requests(random.u64(0..boards as u64 + 4)),
            2 => Self::Promoted(random.usize(1..boards)),
            3 => Self::Staged(random.usize(1..boards)),
            _ => Self::Writing(random.choice(["driver_index", "top_combinations", "status.json"]).unwrap()),
        }
    }

    /// Whether it has happened.
    #[must_use]
    pub fn has_come(self, place: &Place, sim: &Simulator) -> bool {
        match self {
            Self::Requests(count) => sim.stats().requests >= count,
            Self::Promoted(count) => files(&place.cache()) >= count,
            Self::Staged(count) => files(&place.staging()) >= count,
            Self::Writing(name) => fs::read_dir(place.cache()).is_ok_and(|files| {
                let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
                names.into_iter().any(|it| it.contains(name) && r3e_common::runtime::fs::is_temporary(&it))
            }),
        }
    }
}

/// The files in the folders of a cache or staging folder.
fn files(folder: &Path) -> usize {
    let folders = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    folders.filter_map(|folder| Some(fs::read_dir(folder.path()).ok()?.count())).sum()
}
