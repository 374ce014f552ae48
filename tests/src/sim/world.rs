//! The simulated world: its boards, their sizes and their drivers.
//!
//! A world stores only the size of each board. Entries are generated from the seed on request.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use r3e_common::domain::{Catalog, Combination};

use super::board::{Board, Edit, Version};
use super::options::{SimError, SimOptions, check_rate};
use super::people::People;
use super::sizes::{Demand, board_sizes};

/// Every board of a catalogue.
#[derive(Debug)]
pub struct World {
    pub(super) seed: u64,
    pub(super) catalog: Catalog,
    pub(super) odd_rate: f64,
    pub(super) nameless_rate: f64,
    pub(super) people: People,
    pub(super) drivers: u32,
    pub(super) sizes: Vec<u32>,
    /// How many entries the boards before each one have together.
    offsets: Vec<u64>,
    total: u64,
    /// The boards that have changed.
    versions: RwLock<HashMap<usize, Version>>,
}

impl World {
    /// The world that the options describe.
    ///
    /// # Errors
    /// If the numbers are inconsistent, or a rate is invalid.
    pub fn new(options: &SimOptions) -> Result<Self, SimError> {
        check_rate("odd-rate", options.odd_rate)?;
        check_rate("nameless-rate", options.nameless_rate)?;
        let SimOptions { seed, entries, drivers, ref catalog, ref board_sizes, .. } = *options;
        if drivers == 0 {
            return Err(SimError::refused("drivers", drivers, "at least 1"));
        }
        let sizes = self::board_sizes(&Demand {
            seed,
            boards: catalog.len(),
            entries,
            drivers,
            pinned: &pinned(catalog, board_sizes)?,
        })?;
        let offsets = sizes.iter().scan(0, |sum, &size| Some(std::mem::replace(sum, *sum + u64::from(size)))).collect();
        Ok(Self {
            seed,
            catalog: catalog.clone(),
            odd_rate: options.odd_rate,
            nameless_rate: options.nameless_rate,
            people: People::new(seed, drivers),
            drivers,
            sizes,
            offsets,
            total: entries,
            versions: RwLock::default(),
        })
    }

    /// The catalogue whose boards these are.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// How many entries all boards have together as they are now, nameless ones included.
    #[must_use]
    pub fn total_entries(&self) -> u64 {
        let versions = self.versions.read().unwrap_or_else(PoisonError::into_inner);
        let edits = |edit| versions.values().filter(|version| version.edit == Some(edit)).count() as u64;
        self.total + edits(Edit::Inserted) - edits(Edit::Removed)
    }

    /// How many boards have entries.
    #[must_use]
    pub fn boards_with_entries(&self) -> usize {
        self.sizes.iter().filter(|&&size| size > 0).count()
    }

    /// How many entries a board has now, nameless ones included; 0 for one that is not in the catalogue.
    #[must_use]
    pub fn entry_count(&self, combination: Combination) -> u32 {
        self.place(combination).map_or(0, |place| match self.version(place).edit {
            None => self.sizes[place],
            Some(Edit::Inserted) => self.sizes[place] + 1,
            Some(Edit::Removed) => self.sizes[place] - 1,
        })
    }

    /// A board as it is now; none for one that is not in the catalogue.
    #[must_use]
    pub fn board(&self, combination: Combination) -> Option<Board<'_>> {
        let place = self.place(combination)?;
        Some(Board::new(self, combination, place, self.version(place)))
    }

    /// All boards as they are now, in catalogue order.
    pub fn boards(&self) -> impl Iterator<Item = Board<'_>> + '_ {
        self.catalog.combinations().filter_map(|combination| self.board(combination))
    }

    /// How many distinct driver names are served, in lower case: the keys of an index of everything. Goes through
    /// all entries.
    #[must_use]
    pub fn distinct_driver_keys(&self) -> usize {
        let mut people = HashSet::new();
        for board in self.boards() {
            people.extend((0..board.len()).filter(|&row| !board.is_nameless(row)).map(|row| board.person(row)));
        }
        people.into_iter().map(|person| self.people.name(person).to_lowercase()).collect::<HashSet<_>>().len()
    }

    /// How many entries without a driver name are served. Goes through all entries.
    #[must_use]
    pub fn total_nameless(&self) -> u64 {
        if self.nameless_rate == 0.0 { 0 } else { self.boards().map(|board| u64::from(board.nameless())).sum() }
    }

    /// Replaces a board: the same number of entries, different laps, mostly different drivers. The n-th replacement of a
    /// board has the same entries in every world with the same seed.
    pub(super) fn change(&self, combination: Combination) -> Result<(), SimError> {
        let place = self.place(combination).ok_or_else(|| unknown(combination))?;
        let mut versions = self.versions.write().unwrap_or_else(PoisonError::into_inner);
        let version = versions.entry(place).or_default();
        *version = Version { generation: version.generation + 1, edit: None };
        Ok(())
    }

    /// Changes one entry of a board, if that is visible at the later row `shown` and the board has had no such change yet.
    /// Returns whether it did.
    pub(super) fn edit(&self, combination: Combination, edit: Edit, shown: u64) -> bool {
        let Some(place) = self.place(combination) else { return false };
        let size = self.sizes[place];
        let possible = match edit {
            // No driver is on a board twice.
            Edit::Inserted => shown < u64::from(size) && size < self.drivers,
            Edit::Removed => (2..u64::from(size)).contains(&shown),
        };
        let mut versions = self.versions.write().unwrap_or_else(PoisonError::into_inner);
        let version = versions.get(&place).copied().unwrap_or_default();
        let done = possible && version.edit.is_none();
        if done {
            versions.insert(place, Version { edit: Some(edit), ..version });
        }
        done
    }

    fn version(&self, place: usize) -> Version {
        self.versions.read().unwrap_or_else(PoisonError::into_inner).get(&place).copied().unwrap_or_default()
    }

    fn place(&self, combination: Combination) -> Option<usize> {
        self.catalog.ordinal(combination).map(|ordinal| ordinal.0 as usize)
    }

    /// The people who have to be on a board so that each is on one: people are spread evenly over all entries.
    pub(super) fn residents(&self, place: usize) -> Range<u32> {
        let people = u64::from(self.drivers);
        if self.total < people {
            return 0..0;
        }
        let first_from = |entry: u64| {
            let person = (u128::from(entry) * u128::from(people)).div_ceil(u128::from(self.total));
            u32::try_from(person).unwrap_or(self.drivers)
        };
        first_from(self.offsets[place])..first_from(self.offsets[place] + u64::from(self.sizes[place]))
    }
}

fn unknown(combination: Combination) -> SimError {
    SimError::refused("board", combination, "a board of the catalogue")
}

fn pinned(catalog: &Catalog, sizes: &BTreeMap<Combination, u32>) -> Result<BTreeMap<usize, u32>, SimError> {
    let place = |(&combination, &size)| {
        let ordinal = catalog.ordinal(combination);
        let ordinal = ordinal.ok_or_else(|| unknown(combination))?;
        Ok((ordinal.0 as usize, size))
    };
    sizes.iter().map(place).collect()
}
