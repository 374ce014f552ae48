//! What is served: which boards there are, how big they are, who drives on them.
//!
//! A world holds a size for each board and nothing of the entries: they are made from the seed when asked for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use r3e_common::domain::{Catalog, Combination};

use super::entry::{self, ServedEntry};
use super::options::{SimError, SimOptions, check_rate};
use super::people::People;
use super::random::{Purpose, derive};
use super::sizes::{Demand, board_sizes};

/// Every board of a catalogue.
#[derive(Debug)]
pub struct World {
    pub(super) seed: u64,
    pub(super) catalog: Catalog,
    pub(super) odd_rate: f64,
    pub(super) nameless_rate: f64,
    pub(super) people: People,
    drivers: u32,
    sizes: Vec<u32>,
    /// How many entries the boards before each one have together.
    offsets: Vec<u64>,
    total: u64,
    /// The boards that have changed.
    versions: RwLock<HashMap<usize, Version>>,
}

/// What has happened to a board.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// How often it has changed as a whole.
    pub(super) generation: u64,
    /// What has happened to one of its entries since.
    pub(super) edit: Option<Edit>,
}

/// A change of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    /// Somebody new is in front, as fast as the leader.
    Inserted,
    /// The second entry is gone.
    Removed,
}

impl Edit {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Inserted => "+",
            Self::Removed => "-",
        }
    }
}

impl World {
    /// The world that the options describe.
    ///
    /// # Errors
    /// When the numbers do not go together, or a rate is none.
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

    /// Lets a board change: the same number of entries, other laps, mostly other drivers. The n-th change of a board
    /// gives the same entries in every world of that seed.
    pub(super) fn change(&self, combination: Combination) -> Result<(), SimError> {
        let place = self.place(combination).ok_or_else(|| unknown(combination))?;
        let mut versions = self.versions.write().unwrap_or_else(PoisonError::into_inner);
        let version = versions.entry(place).or_default();
        *version = Version { generation: version.generation + 1, edit: None };
        Ok(())
    }

    /// Changes one entry of a board, if that shows at the row `shown` behind it and nothing of the kind has happened to the
    /// board. Tells whether it was done.
    pub(super) fn edit(&self, combination: Combination, edit: Edit, shown: u64) -> bool {
        let Some(place) = self.place(combination) else { return false };
        let size = self.sizes[place];
        let possible = match edit {
            // Nobody is on a board twice.
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
    fn residents(&self, place: usize) -> Range<u32> {
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

/// One board: who is on it, in order.
#[derive(Debug)]
pub struct Board<'w> {
    pub(super) world: &'w World,
    pub(super) combination: Combination,
    pub(super) place: u64,
    pub(super) version: Version,
    rows: Vec<Row>,
}

/// An entry, as its board knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) person: u32,
    /// How many milliseconds behind the leader.
    pub(super) gap_millis: u32,
    /// What the rest of the entry is made from: its position when the board was made.
    pub(super) origin: u32,
}

impl<'w> Board<'w> {
    fn new(world: &'w World, combination: Combination, place: usize, version: Version) -> Self {
        let size = world.sizes[place];
        let mut rng = derive(world.seed, Purpose::Columns, &[place as u64, version.generation]);
        let mut people = draw_people(&mut rng, world.drivers, size, world.residents(place));
        rng.shuffle(&mut people);
        // A crowded board is spread wider: up to a minute and a half from first to last.
        let widest = 2 * (5000 + size.min(400) * 200) / size.max(1);
        let gaps = (0..size).scan(0, |gap, row| {
            *gap += if row == 0 { 0 } else { rng.u32(0..=widest) };
            Some(*gap)
        });
        let row = |((person, gap_millis), origin)| Row { person, gap_millis, origin };
        let mut rows: Vec<Row> = people.into_iter().zip(gaps).zip(0..).map(row).collect();
        match version.edit {
            None => {}
            Some(Edit::Inserted) => {
                let present: HashSet<u32> = rows.iter().map(|row| row.person).collect();
                let new = (0..world.drivers).find(|person| !present.contains(person));
                rows.splice(..0, new.map(|person| Row { person, gap_millis: 0, origin: size }));
            }
            Some(Edit::Removed) => drop(rows.remove(1)),
        }
        Self { world, combination, place: place as u64, version, rows }
    }

    /// Which board it is.
    #[must_use]
    pub fn combination(&self) -> Combination {
        self.combination
    }

    /// How many entries it has, nameless ones included.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.rows.len()).unwrap_or(u32::MAX)
    }

    /// Whether nobody has driven it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many of its entries have no driver name.
    #[must_use]
    pub fn nameless(&self) -> u32 {
        let rows = 0..self.len();
        u32::try_from(rows.filter(|&row| self.is_nameless(row)).count()).unwrap_or(u32::MAX)
    }

    /// Its entries, in order, as they are sent.
    pub fn entries(&self) -> impl Iterator<Item = ServedEntry> + '_ {
        (0..self.len()).map(|row| entry::serve(self, row))
    }

    pub(super) fn person(&self, row: u32) -> u32 {
        self.row(row).person
    }

    pub(super) fn row(&self, row: u32) -> Row {
        self.rows[row as usize]
    }

    fn is_nameless(&self, row: u32) -> bool {
        entry::Luck::of(self, row).nameless.is_some()
    }
}

/// `size` distinct people of `people`, among them all residents; few people drive a lot, most a little.
fn draw_people(rng: &mut fastrand::Rng, people: u32, size: u32, residents: Range<u32>) -> Vec<u32> {
    if size == 0 {
        return Vec::new();
    }
    let mut taken = vec![0u64; people as usize / 64 + 1];
    let mut take = |person: u32| {
        let word = &mut taken[person as usize / 64];
        let free = *word >> (person % 64) & 1 == 0;
        *word |= 1 << (person % 64);
        free
    };
    let mut chosen: Vec<u32> = residents.filter(|&person| take(person)).collect();
    while chosen.len() < size as usize {
        let popular = (0..8).map(|_| popular(rng, people)).find(|&person| take(person));
        let person = popular.unwrap_or_else(|| {
            let start = rng.u32(0..people);
            let from_there = (start..people).chain(0..start).find(|&person| take(person));
            // There is one: a board never has more entries than there are people.
            from_there.unwrap_or(start)
        });
        chosen.push(person);
    }
    chosen
}

/// A person, low numbers more often: the square of a uniform draw.
fn popular(rng: &mut fastrand::Rng, people: u32) -> u32 {
    let uniform = u64::from(rng.u32(..));
    let squared = (uniform * uniform) >> 32;
    u32::try_from((squared * u64::from(people)) >> 32).unwrap_or(0)
}
