//! Moments of a run, told from outside, at which a test may strike it.

use std::fs;
use std::path::Path;

use super::place::Place;
use crate::sim::Simulator;

/// What a test waits for before it strikes.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// So many requests.
    Requests(u64),
    /// So many boards in the cache.
    Promoted(usize),
    /// So many boards in staging.
    Staged(usize),
    /// A file that is being written in the cache, of those with that in their name.
    Writing(&'static str),
}

impl Moment {
    /// A moment of a run that fetches so many boards: of half of them, while it asks for them.
    ///
    /// # Panics
    /// When there are less than two.
    #[must_use]
    pub fn draw(random: &mut fastrand::Rng, boards: usize) -> Self {
        match random.u8(0..5) {
            0 | 1 => Self::Requests(random.u64(0..boards as u64 + 4)),
            2 => Self::Promoted(random.usize(1..boards)),
            3 => Self::Staged(random.usize(1..boards)),
            _ => Self::Writing(random.choice(["driver_index", "top_combinations", "status.json"]).unwrap()),
        }
    }

    /// Whether it has come.
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
