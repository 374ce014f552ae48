//! All drivers, by the id in their profile's URL, with what newer front ends show of them, taken from the newest results.

mod collect;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use super::country::Country;
use super::intern::{Interner, Text};
use super::key::key_prefix;
use super::moment::Moment;
use super::names;
use crate::domain::{Driver, Ordinal, path_id};

/// The driver's id: the end of the profile's URL, or the name in lower case if the URL has no id.
pub(super) fn id_of<'a>(driver: &'a Driver<'_>) -> Cow<'a, str> {
    match path_id(&driver.path) {
        "" => Cow::Owned(names::lower_name(&driver.name)),
        id => Cow::Borrowed(id),
    }
}

/// An upper bound of the bytes that a driver with this id, name and avatar takes here and in statistics.
pub(super) fn max_bytes(texts: [&str; 3]) -> usize {
    192 + texts.into_iter().map(str::len).sum::<usize>()
}

/// How a driver is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) avatar: &'a str,
    pub(super) country: &'a str,
    pub(super) team: &'a str,
    pub(super) rank: &'a str,
}

/// A driver who has a team.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) driver: u32,
    pub(super) team: &'a str,
    /// Empty if none of the driver's results has one.
    pub(super) country: &'a str,
}

/// When and where a result was driven. If times are equal, the first result in catalogue order, then by position, counts as
/// the newest.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    driven: Moment,
    ordinal: Ordinal,
    position: u32,
}

impl Stamp {
    fn is_newer_than(self, other: Self) -> bool {
        let by_place = || (other.ordinal, other.position).cmp(&(self.ordinal, self.position));
        self.driven.cmp(&other.driven).then_with(by_place).is_gt()
    }
}

/// The texts of an identity, without its id.
#[derive(Debug, Clone, Copy)]
struct Shown {
    name: Text,
    avatar: Text,
    /// A [`Country`].
    country: Text,
    team: Text,
    rank: Text,
}

impl Shown {
    /// Stores the texts: name, avatar, [`Country`], team, rank.
    fn new(strings: &mut Interner, texts: [&str; 5]) -> Self {
        let [name, avatar, country, team, rank] = texts.map(|it| strings.intern(it));
        Self { name, avatar, country, team, rank }
    }
}

/// An identity that only the previous export has, under a key that still has results.
#[derive(Debug)]
struct Former {
    id: Text,
    shown: Shown,
}

/// The newest known team or country of drivers whose newest result has none.
type Earlier = HashMap<u32, (Text, Stamp), foldhash::fast::RandomState>;

/// All drivers that have results, numbered from 0, followed by those that only the previous export has.
#[derive(Debug)]
pub(super) struct Drivers {
    /// Ids are interned in driver order, offset by one because 0 is the empty string.
    ids: Interner,
    strings: Interner,
    newest: Vec<(Shown, Stamp)>,
    former: Vec<Former>,
    teams: Earlier,
    countries: Earlier,
    /// Drivers whose name has a key, by key and then by id.
    sorted: Vec<u32>,
    /// The rank of each driver's key; 0 for drivers without a key, which are not exported.
    ranks: Vec<u32>,
}

impl Drivers {
    pub(super) fn new() -> Self {
        Self {
            ids: Interner::new(),
            strings: Interner::new(),
            newest: Vec::new(),
            former: Vec::new(),
            teams: Earlier::default(),
            countries: Earlier::default(),
            sorted: Vec::new(),
            ranks: Vec::new(),
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let lists = self.newest.capacity() * size_of::<(Shown, Stamp)>()
            + self.former.capacity() * size_of::<Former>()
            + (self.sorted.capacity() + self.ranks.capacity()) * size_of::<u32>();
        let earlier = (self.teams.capacity() + self.countries.capacity()) * size_of::<(u32, Text, Stamp, u8)>();
        self.ids.bytes() + self.strings.bytes() + lists + earlier
    }

    /// Sorts the drivers. Call this once all results are added.
    pub(super) fn sort(&mut self) {
        let all = 0..u32::try_from(self.newest.len()).unwrap_or(u32::MAX);
        let mut key = String::new();
        let mut named: Vec<(u64, u32)> = Vec::with_capacity(self.newest.len());
        for number in all {
            key.clear();
            key.extend(names::key_chars(self.name(number)));
            if !key.is_empty() {
                named.push((key_prefix(&key), number));
            }
        }
        let compare = |a: &(u64, u32), b: &(u64, u32)| {
            let by_key = || names::compare_keys(self.name(a.1), self.name(b.1));
            a.0.cmp(&b.0).then_with(by_key)
        };
        named.sort_unstable_by(|a, b| compare(a, b).then_with(|| compare_ids(self.get(a.1).id, self.get(b.1).id)));
        let mut ranks = vec![0; self.newest.len()];
        for (rank, same) in (1..).zip(named.chunk_by(|a, b| compare(a, b).is_eq())) {
            for (_, number) in same {
                ranks[*number as usize] = rank;
            }
        }
        self.sorted = named.into_iter().map(|(_, number)| number).collect();
        self.ranks = ranks;
    }

    /// Adds an identity of the previous export, if its key still has results. Fills in texts that are empty now.
    pub(super) fn remember(&mut self, key: &str, previous: Identity<'_>) {
        let found = |number: &u32| names::key_chars(self.name(*number)).cmp(key.chars());
        if self.sorted.binary_search_by(found).is_err() || !names::key_chars(previous.name).eq(key.chars()) {
            return;
        }
        let country = Country::join("", previous.country);
        let number = self.find(previous.id).map(|it| it as usize);
        if let Some((shown, _)) = number.and_then(|it| self.newest.get_mut(it)) {
            for (text, old) in [
                (&mut shown.avatar, previous.avatar),
                (&mut shown.country, &country),
                (&mut shown.team, previous.team),
                (&mut shown.rank, previous.rank),
            ] {
                if *text == Text(0) {
                    *text = self.strings.intern(old);
                }
            }
        }
        let is_listed = number.is_some_and(|it| {
            let name = self.strings.get(self.newest[it].0.name);
            names::key_chars(name).eq(key.chars())
        });
        if !is_listed {
            let Identity { id, name, avatar, team, rank, .. } = previous;
            let shown = Shown::new(&mut self.strings, [name, avatar, &country, team, rank]);
            self.former.push(Former { id: self.strings.intern(id), shown });
        }
    }

    /// Merges the identities of the previous export into the order. Call this once all of them are added.
    pub(super) fn merge_former(&mut self) {
        if self.former.is_empty() {
            return;
        }
        let mut sorted = std::mem::take(&mut self.sorted);
        sorted.extend((0..self.former.len()).filter_map(|it| u32::try_from(self.newest.len() + it).ok()));
        sorted.sort_by(|&a, &b| {
            let (a, b) = (self.get(a), self.get(b));
            names::compare_keys(a.name, b.name).then_with(|| compare_ids(a.id, b.id))
        });
        self.sorted = sorted;
    }

    /// How many drivers have results and are exported.
    pub(super) fn count(&self) -> usize {
        self.sorted.len() - self.former.len()
    }

    /// All identities, by key and then by id.
    pub(super) fn sorted(&self) -> &[u32] {
        &self.sorted
    }

    /// The end of each key's identities in [`Drivers::sorted`].
    pub(super) fn key_ends(&self) -> Vec<u32> {
        let name = |number: &u32| self.name(*number);
        let is_same = |a: &u32, b: &u32| name(a) == name(b) || names::compare_keys(name(a), name(b)).is_eq();
        let mut end = 0;
        let ends = self.sorted.chunk_by(is_same).map(|same| {
            // Cannot fail: there are fewer identities than 2^32.
            end += u32::try_from(same.len()).unwrap_or(u32::MAX);
            end
        });
        ends.collect()
    }

    /// The drivers with results, by key and then by id.
    pub(super) fn with_results(&self) -> impl Iterator<Item = u32> {
        self.sorted.iter().copied().filter(|&it| (it as usize) < self.newest.len())
    }

    /// The exported drivers who have a team, each with the newest known one. Call this before [`Drivers::remember`].
    pub(super) fn members(&self) -> impl Iterator<Item = Member<'_>> {
        self.with_results().filter_map(|driver| {
            let team = self.newest_text(driver, |it| it.team, &self.teams);
            (!team.is_empty()).then_some(Member { driver, team, country: self.country(driver).name() })
        })
    }

    /// The country code of the driver with this id, from the newest result that has a country; empty if unknown. Call this
    /// before [`Drivers::remember`].
    pub(super) fn country_code(&self, id: &str) -> &str {
        self.find(id).map_or("", |driver| self.country(driver).code())
    }

    fn country(&self, driver: u32) -> Country<'_> {
        Country(self.newest_text(driver, |it| it.country, &self.countries))
    }

    /// The text of the driver's newest result, or of an earlier one if that has none.
    fn newest_text(&self, driver: u32, of: fn(&Shown) -> Text, earlier: &Earlier) -> &str {
        let newest = of(&self.newest[driver as usize].0);
        let text = if newest == Text(0) { earlier.get(&driver).map(|(text, _)| *text) } else { Some(newest) };
        text.map_or("", |it| self.strings.get(it))
    }

    /// For each driver with results, the rank by name and then by id.
    pub(super) fn name_ranks(&self) -> Vec<u32> {
        let mut sorted: Vec<(u64, u32)> = self.with_results().map(|it| (key_prefix(self.name(it)), it)).collect();
        let shown = |number: u32| (self.name(number), self.ids.get(Text(number + 1)));
        sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| shown(a.1).cmp(&shown(b.1))));
        let mut ranks = vec![0; self.newest.len()];
        for (rank, (_, number)) in (0..).zip(sorted) {
            ranks[number as usize] = rank;
        }
        ranks
    }

    /// The name of an identity, by number.
    pub(super) fn name(&self, number: u32) -> &str {
        let shown = self.newest.get(number as usize).map(|(shown, _)| shown);
        let name = shown.map_or_else(|| self.former[number as usize - self.newest.len()].shown.name, |it| it.name);
        self.strings.get(name)
    }

    /// An identity, by number.
    pub(super) fn get(&self, number: u32) -> Identity<'_> {
        let (id, shown) = if let Some((shown, _)) = self.newest.get(number as usize) {
            (self.ids.get(Text(number + 1)), shown)
        } else {
            let former = &self.former[number as usize - self.newest.len()];
            (self.strings.get(former.id), &former.shown)
        };
        let [name, avatar, country, team, rank] =
            [shown.name, shown.avatar, shown.country, shown.team, shown.rank].map(|it| self.strings.get(it));
        Identity { id, name, avatar, country: Country(country).name(), team, rank }
    }

    /// The number of the driver with this id.
    pub(super) fn find(&self, id: &str) -> Option<u32> {
        self.ids.find(id)?.0.checked_sub(1)
    }

    /// The rank of the key of a driver with results; 0 without a key.
    pub(super) fn rank(&self, id: &str) -> u32 {
        self.find(id).and_then(|it| self.ranks.get(it as usize)).copied().unwrap_or(0)
    }

    /// Appends the key of the driver with this id; nothing if there is none.
    pub(super) fn push_key(&self, id: &str, out: &mut String) {
        if let Some(number) = self.find(id) {
            out.extend(names::key_chars(self.name(number)));
        }
    }
}

/// Orders numeric ids by value, before all others.
fn compare_ids(a: &str, b: &str) -> Ordering {
    let value = |id: &str| id.bytes().all(|it| it.is_ascii_digit()).then(|| id.trim_start_matches('0').len());
    match (value(a), value(b)) {
        (Some(one), Some(other)) => one
            .cmp(&other)
            .then_with(|| a.trim_start_matches('0').cmp(b.trim_start_matches('0')))
            .then_with(|| a.cmp(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}
