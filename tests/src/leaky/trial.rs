//! A trial: a process that leaks or does not, with some work in the background, measured after each cycle.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use r3e_common::runtime::control::Stats;

use super::Kind;
use crate::harness::Leaky;

/// What a process does beside leaking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Background {
    /// Nothing.
    Quiet,
    /// Up to 8 MB a cycle on up to nine threads, freed before it is measured, in one cycle of twenty after.
    Load,
    /// A thread allocates and frees up to 256 KB without a pause, also while it is measured.
    Busy,
    /// A cache of up to 512 KB that grows and sheds; up to 8 tasks, descriptors and connections come and go.
    Wander,
    /// The same, with a cache of up to 4 MB and 16 of each that come and go: a small leak cannot be seen in it.
    Wide,
    /// A cache of 2 MB that is empty at the start.
    Filling,
    /// All of this, with half as much of each.
    All,
}

impl Background {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Quiet, Self::Load, Self::Busy, Self::Wander, Self::Filling, Self::All, Self::Wide];

    /// As a table has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Load => "heavy load",
            Self::Busy => "busy while measured",
            Self::Wander => "wandering",
            Self::Filling => "filling cache",
            Self::Wide => "wandering wide",
            Self::All => "all at once",
        }
    }

    /// As arguments. A cache takes another number of cycles to its bound with each seed, from 3 to 12.
    fn arguments(self, seed: u64) -> Vec<String> {
        let wander_cycles = 3 + seed % 10;
        let text = match self {
            Self::Quiet => String::new(),
            Self::Load => "--load 8388608".to_owned(),
            Self::Busy => "--load 1048576 --busy 262144".to_owned(),
            Self::Wander => format!("--wander 524288 --wander-cycles {wander_cycles} --pools 8"),
            Self::Wide => format!("--wander 4194304 --wander-cycles {wander_cycles} --pools 16"),
            Self::Filling => "--fill 2097152 --fill-cycles 6 --load 1048576".to_owned(),
            Self::All => format!(
                "--load 4194304 --busy 131072 --wander 524288 --wander-cycles {wander_cycles} --pools 8 --fill 1048576"
            ),
        };
        text.split_whitespace().map(str::to_owned).collect()
    }
}

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    /// What leaks.
    pub kind: Kind,
    /// How much in a cycle.
    pub per_cycle: usize,
    /// What is done beside it.
    pub background: Background,
    /// Of its random numbers.
    pub seed: u64,
}

impl Trial {
    /// Has the process do so many cycles and purge after each, and gives what it held then, with the moment in milliseconds
    /// since 1970.
    ///
    /// # Errors
    /// If the process does not respond as expected.
    pub fn run(&self, program: &Path, runtime_dir: &Path, cycles: usize) -> io::Result<Vec<(i64, Stats)>> {
        let mut arguments = self.background.arguments(self.seed);
        let words =
            ["--leak", self.kind.name(), "--per-cycle", &self.per_cycle.to_string(), "--seed", &self.seed.to_string()];
        arguments.extend(words.map(str::to_owned));
        let mut leaky = Leaky::start(program, runtime_dir, &arguments)?;
        let mut series = Vec::with_capacity(cycles);
        for _one in 0..cycles {
            leaky.cycle()?;
            let stats = leaky.purge()?;
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
            series.push((i64::try_from(since.as_millis()).map_err(io::Error::other)?, stats));
        }
        Ok(series)
    }
}
