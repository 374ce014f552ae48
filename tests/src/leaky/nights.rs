//! A job of many nights: each night is a process of its own, whose memory depends on the size of its work, and on the night if it leaks.

use std::io;
use std::path::Path;

use fastrand::Rng;
use r3e_common::runtime::control::Stats;

use super::Kind;
use super::trial::{Background, Trial};

/// How the size of the work changes from night to night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It does not.
    Same,
    /// By up to 20 %, up and down.
    Varying,
    /// 2 % more each night.
    Growing,
    /// 1 % less each night.
    Shrinking,
}

impl Work {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Same, Self::Varying, Self::Growing, Self::Shrinking];

    /// The name in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "same work",
            Self::Varying => "varying work",
            Self::Growing => "growing work",
            Self::Shrinking => "shrinking work",
        }
    }

    /// How many boards there are in a night.
    fn boards(self, night: usize, random: &mut Rng) -> usize {
        match self {
            Self::Same => BOARDS,
            Self::Varying => random.usize(BOARDS * 8 / 10..=BOARDS * 12 / 10),
            Self::Growing => BOARDS + BOARDS / 50 * night,
            Self::Shrinking => BOARDS - BOARDS / 100 * night,
        }
    }
}

const BOARDS: usize = 16_000;
const BYTES_OF_BOARD: usize = 1024;

/// Cycles of a night.
const CYCLES: usize = 2;

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub struct Nights {
    /// The size of the work.
    pub work: Work,
    /// How much more each night holds than the one before.
    pub leak_bytes: usize,
    /// What is done beside it.
    pub background: Background,
    /// Of its random numbers.
    pub seed: u64,
}

impl Nights {
    /// Runs a process for each night, and returns how many boards it had and its figures at the end.
    ///
    /// # Errors
    /// If a process does not respond as expected.
    pub fn run(&self, program: &Path, runtime_dir: &Path, count: usize) -> io::Result<Vec<(usize, Stats)>> {
        let mut random = Rng::with_seed(self.seed);
        let night = |night: usize| {
            let boards = self.work.boards(night, &mut random);
            let held = boards * BYTES_OF_BOARD + night * self.leak_bytes;
            let seed = random.u64(..);
            let trial = Trial { kind: Kind::Bytes, per_cycle: held / CYCLES, background: self.background, seed };
            let ended = trial.run(program, runtime_dir, CYCLES)?.pop();
            Ok((boards, ended.ok_or_else(|| io::Error::other("a night without cycles"))?.1))
        };
        (0..count).map(night).collect()
    }
}
