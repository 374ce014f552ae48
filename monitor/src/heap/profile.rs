//! A profile with names, as it is shown and saved: functions, places in them, and what is held by way of them.

use std::collections::HashMap;

/// A function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Symbol {
    /// Its name, as people read it.
    pub(crate) name: String,
    /// Its name, as the linker has it.
    pub(crate) system_name: String,
    /// Its source file; empty where that is not known.
    pub(crate) file: String,
}

/// A line of a function, that was being executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    /// Which of the profile's functions.
    pub(crate) symbol: usize,
    /// 0 where it is not known.
    pub(crate) line: u32,
}

/// An address on the way to what is held, with the functions that are there: those that were inlined first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    /// In which of the profile's modules.
    pub(crate) module: Option<usize>,
    /// The address in the process; 0 where there is none any more.
    pub(crate) address: u64,
    /// The innermost first; never empty.
    pub(crate) lines: Vec<Line>,
}

/// A file of which code was mapped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Module {
    /// Where in memory.
    pub(crate) start: u64,
    /// Its end there.
    pub(crate) end: u64,
    /// Where in the file.
    pub(crate) offset: u64,
    /// The file.
    pub(crate) path: String,
    /// Its build id; empty where it has none.
    pub(crate) build_id: String,
}

/// A way to what is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// The places on it, as numbers of the profile's locations, the innermost first.
    pub(crate) way: Vec<usize>,
    /// How many objects; of a difference below zero where it is less.
    pub(crate) objects: i64,
    /// How many bytes in them.
    pub(crate) bytes: i64,
}

/// What the whole of it amounts to, beside what the allocator counted. Not saved with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub(crate) struct Account {
    /// What is held, as estimated, in objects.
    pub(crate) inuse_objects: i64,
    /// And in bytes.
    pub(crate) inuse_bytes: i64,
    /// The standard error of that estimate: in two of three profiles it is not further off.
    pub(crate) standard_error_bytes: u64,
    /// How many objects were sampled.
    pub(crate) sampled_objects: u64,
    /// What the allocator had given out and was in no thread's cache, objects that nobody sampled among it.
    pub(crate) live_bytes: u64,
}

/// A profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    /// Functions.
    pub(crate) symbols: Vec<Symbol>,
    /// Files of code; that of the program first.
    pub(crate) modules: Vec<Module>,
    /// Addresses.
    pub(crate) locations: Vec<Location>,
    /// What is held.
    pub(crate) held: Vec<Held>,
    /// When, in nanoseconds since 1970.
    pub(crate) time_ns: i64,
    /// The mean of the bytes between two samples.
    pub(crate) period: i64,
    /// Of whom it is, for people.
    pub(crate) comments: Vec<String>,
}

impl Profile {
    /// The number of a function among those of the profile.
    pub(crate) fn intern(&mut self, known: &mut HashMap<Symbol, usize>, symbol: Symbol) -> usize {
        *known.entry(symbol).or_insert_with_key(|symbol| {
            self.symbols.push(symbol.clone());
            self.symbols.len() - 1
        })
    }

    /// The functions on a way, the innermost first, with those that were inlined.
    pub(crate) fn lines<'p>(&'p self, way: &'p [usize]) -> impl DoubleEndedIterator<Item = Line> + 'p {
        way.iter().flat_map(|&location| self.locations[location].lines.iter().copied())
    }

    /// Objects and bytes of all of it.
    pub(crate) fn total(&self) -> (i64, i64) {
        self.held.iter().fold((0, 0), |(objects, bytes), it| {
            (i64::saturating_add(objects, it.objects), i64::saturating_add(bytes, it.bytes))
        })
    }

    /// By how much more is held here than in an earlier profile, way by way. Ways are told apart by the names of their
    /// functions: addresses and lines are others in another process or build.
    pub(crate) fn minus(&self, earlier: &Self) -> Self {
        let mut difference = Self {
            time_ns: self.time_ns,
            period: self.period,
            comments: [self, earlier].into_iter().flat_map(|it| it.comments.iter().cloned()).collect(),
            ..Self::default()
        };
        let mut known = HashMap::new();
        let mut places: HashMap<usize, usize> = HashMap::new();
        let mut ways: HashMap<Vec<usize>, usize> = HashMap::new();
        for (profile, sign) in [(self, 1), (earlier, -1)] {
            for held in &profile.held {
                let way: Vec<usize> = profile
                    .lines(&held.way)
                    .map(|line| {
                        let symbol = difference.intern(&mut known, profile.symbols[line.symbol].clone());
                        *places.entry(symbol).or_insert_with(|| {
                            let lines = vec![Line { symbol, line: 0 }];
                            difference.locations.push(Location { module: None, address: 0, lines });
                            difference.locations.len() - 1
                        })
                    })
                    .collect();
                let index = *ways.entry(way).or_insert_with_key(|way| {
                    difference.held.push(Held { way: way.clone(), objects: 0, bytes: 0 });
                    difference.held.len() - 1
                });
                let sum = &mut difference.held[index];
                sum.objects = sum.objects.saturating_add(held.objects.saturating_mul(sign));
                sum.bytes = sum.bytes.saturating_add(held.bytes.saturating_mul(sign));
            }
        }
        difference.held.retain(|it| (it.objects, it.bytes) != (0, 0));
        difference
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A profile of ways that are named, the outermost function first: `main;load;read`.
    pub(crate) fn profile(ways: &[(&str, i64, i64)]) -> Profile {
        let mut profile = Profile { period: 524_288, ..Profile::default() };
        let mut known = HashMap::new();
        for (names, objects, bytes) in ways {
            let way = names.rsplit(';').map(|name| {
                let symbol = Symbol { name: name.to_owned(), system_name: name.to_owned(), file: format!("{name}.rs") };
                let symbol = profile.intern(&mut known, symbol);
                let address = 0x1000 + profile.locations.len() as u64;
                profile.locations.push(Location { module: None, address, lines: vec![Line { symbol, line: 7 }] });
                profile.locations.len() - 1
            });
            let way = way.collect();
            profile.held.push(Held { way, objects: *objects, bytes: *bytes });
        }
        profile
    }

    #[test]
    fn a_difference_is_told_by_names_and_leaves_out_what_is_the_same() {
        let before = profile(&[("main;a", 1, 100), ("main;b", 2, 200), ("main;same", 3, 300), ("main;a", 1, 11)]);
        let after = profile(&[("main;new", 4, 400), ("main;b", 5, 250), ("main;same", 3, 300)]);
        let difference = after.minus(&before);
        let mut shown: Vec<String> = difference
            .held
            .iter()
            .map(|it| {
                let names: Vec<_> =
                    difference.lines(&it.way).rev().map(|line| &*difference.symbols[line.symbol].name).collect();
                format!("{} {} {}", names.join(";"), it.objects, it.bytes)
            })
            .collect();
        shown.sort();
        assert_eq!(shown, ["main;a -2 -111", "main;b 3 50", "main;new 4 400"]);
        assert_eq!(difference.total(), (5, 339));
        assert!(after.minus(&after).held.is_empty());
    }
}
