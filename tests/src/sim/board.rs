//! One board: its drivers, and the changes made to it.

use std::collections::HashSet;
use std::ops::Range;

use r3e_common::domain::Combination;

use super::entry::{self, ServedEntry};
use super::random::{Purpose, derive};
use super::world::World;

/// The changes made to a board.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// How often the whole board was replaced.
    pub(super) generation: u64,
    /// A change of a single entry since then.
    pub(super) edit: Option<Edit>,
}

/// A change of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    /// A new driver was inserted at the top, as fast as the leader.
    Inserted,
    /// The second entry was removed.
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

/// One board: its drivers, in order.
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
    /// Seed of the entry's other fields: its position when the board was created.
    pub(super) origin: u32,
}

impl<'w> Board<'w> {
    /// A board of this size, whose drivers include all of `residents`.
    pub(super) fn new(world: &'w World, combination: Combination, place: usize, version: Version) -> Self {
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

    /// Whether it has no entries.
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

    pub(super) fn is_nameless(&self, row: u32) -> bool {
        entry::Luck::of(self, row).nameless.is_some()
    }
}

/// `size` distinct people out of `people`, including all residents. A few people are on many boards, most on few.
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
