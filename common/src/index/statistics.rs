//! Statistics of drivers: overall, per class, and per category of classes. Results are counted key by key; the files are
//! written at the end.

mod files;
mod metric;

use std::collections::HashMap;

use super::drivers::Drivers;
use super::error::IndexError;
use super::order::RowRef;
use super::staged::Staged;
use super::writer::{Range, Writer};
use crate::domain::{Catalog, ClassId};
use metric::{Metric, Tally};

/// The categories and their classes, sorted by name. Front ends have the same list.
const CATEGORIES: [(&str, &[u32]); 8] = [
    ("Audi Cup", &[4680, 5726]),
    ("Classics", &[1712, 7287]),
    ("DTM 2010s", &[1921, 3086, 4260, 5262]),
    ("GT3", &[2922, 3375, 4516, 7278, 7767, 11566, 10396, 12196, 12770, 13136, 1703]),
    ("Porsche Cup", &[7982, 12015, 12969, 8165]),
    ("WTCC", &[3905, 4517, 6036, 6309]),
    ("WTCR", &[8660, 7009, 7844, 9233, 10344, 11317]),
    ("e-Sedan", &[8682, 10266]),
];

/// The maximum number of drivers in a list of a class or category …
const LIMIT: usize = 1000;

/// … and the minimum number of its boards that each of them has driven.
const MIN_ENTRIES: u32 = 2;

/// When a class or category holds this many drivers, those that are in none of its lists are dropped.
const MAX_HELD: usize = 8 * LIMIT;

/// Drivers in one scope.
#[derive(Debug, Default)]
struct Scope {
    tallies: Vec<Tally>,
    /// Whether it has results; `with_poles` is the number of drivers who lead a board.
    has_results: bool,
    with_poles: usize,
}

/// Counts results.
#[derive(Debug)]
pub(super) struct Statistics<'a> {
    drivers: &'a Drivers,
    catalog: &'a Catalog,
    /// The rank of each driver by name and then by id.
    names: Vec<u32>,
    overall: Vec<Tally>,
    /// The classes of the catalogue, and then the categories.
    scopes: Vec<Scope>,
    /// For each class, the index of its category in `scopes`.
    categories: Vec<Option<usize>>,
    /// The tallies of the current key, by driver and scope; `None` is overall.
    counting: HashMap<(u32, Option<usize>), Tally, foldhash::fast::RandomState>,
}

impl<'a> Statistics<'a> {
    pub(super) fn new(drivers: &'a Drivers, catalog: &'a Catalog) -> Self {
        let classes = catalog.classes();
        let category = |class: ClassId| CATEGORIES.iter().position(|(_, ids)| ids.contains(&class.get()));
        Self {
            drivers,
            catalog,
            names: drivers.name_ranks(),
            overall: Vec::with_capacity(drivers.count()),
            scopes: (0..classes.len() + CATEGORIES.len()).map(|_| Scope::default()).collect(),
            categories: classes.iter().map(|it| category(it.id).map(|it| classes.len() + it)).collect(),
            counting: HashMap::default(),
        }
    }

    /// Finishes the drivers of a key once all its results are counted.
    fn end_key(&mut self) {
        for ((_, scope), mut tally) in self.counting.drain() {
            tally.end();
            let Some(scope) = scope else {
                self.overall.push(tally);
                continue;
            };
            let scope = &mut self.scopes[scope];
            scope.has_results = true;
            scope.with_poles += usize::from(tally.poles > 0);
            if tally.entries >= MIN_ENTRIES {
                scope.tallies.push(tally);
                if scope.tallies.len() >= MAX_HELD {
                    scope.drop_unlisted(&self.names);
                }
            }
        }
    }
}

impl Scope {
    /// The tallies of a list, in its order.
    fn list(&self, metric: Metric, names: &[u32]) -> Vec<u32> {
        let admits = |tally: &Tally| metric != Metric::AverageBested || tally.bested >= 10;
        metric.list(&self.tallies, names, admits, LIMIT)
    }

    fn drop_unlisted(&mut self, names: &[u32]) {
        let mut listed = vec![false; self.tallies.len()];
        for metric in Metric::ALL {
            self.list(metric, names).into_iter().for_each(|it| listed[it as usize] = true);
        }
        let mut listed = listed.into_iter();
        self.tallies.retain(|_| listed.next().unwrap_or_default());
    }
}

impl Writer for Statistics<'_> {
    fn range(&mut self, range: &Range<'_>, _: &mut Staged) -> Result<(), IndexError> {
        let (columns, classes) = (range.columns, self.catalog.classes().len());
        let mut numbers: Vec<Vec<Option<u32>>> =
            columns.shards().iter().map(|it| vec![None; it.strings.len()]).collect();
        for key in 0..columns.order.keys() {
            if self.drivers.rank(columns.key_text(key)) == 0 {
                continue;
            }
            for place in columns.order.key_rows(key) {
                let RowRef { number, shard, row } = columns.row_at(place);
                let known = &mut numbers[number][row.driver.0 as usize];
                let Some(driver) = known.or_else(|| self.drivers.find(shard.strings.get(row.driver))) else { continue };
                *known = Some(driver);
                let board = &shard.boards[row.board as usize];
                let class = board.ordinal.0 as usize % classes;
                for scope in [Some(None), Some(Some(class)), self.categories[class].map(Some)].into_iter().flatten() {
                    let tally = self.counting.entry((driver, scope)).or_insert_with(|| Tally::new(driver));
                    tally.add(row.position, board.entries);
                }
            }
            self.end_key();
        }
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        let scopes = self.scopes.iter().map(|it| it.tallies.capacity()).sum::<usize>();
        let counting = self.counting.capacity() * (size_of::<(u32, Option<usize>)>() + size_of::<Tally>());
        let names = self.names.capacity() * size_of::<u32>();
        (self.overall.capacity() + scopes) * size_of::<Tally>() + counting + names
    }
}
