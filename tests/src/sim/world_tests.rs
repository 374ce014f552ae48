//! Invariants of all worlds.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;
use r3e_common::domain::{Catalog, Combination, Entry, seconds_behind};
use serde_json::value::RawValue;

use super::page::{Asked, Page};
use super::{Oddity, SimOptions, World};

fn world(change: impl FnOnce(&mut SimOptions)) -> World {
    let mut options = SimOptions { entries: 30_000, drivers: 4000, ..SimOptions::default() };
    change(&mut options);
    World::new(&options).unwrap()
}

fn boards(world: &World) -> Vec<Combination> {
    world.catalog().combinations().filter(|&board| world.entry_count(board) > 0).collect()
}

#[test]
fn the_default_world_is_of_the_services_size() {
    let world = World::new(&SimOptions::default()).unwrap();
    assert_eq!((world.total_entries(), world.boards_with_entries()), (300_000, 7088));
    let served: u64 = world.boards().map(|board| u64::from(board.len())).sum();
    assert_eq!(served, 300_000);
    let keys = world.distinct_driver_keys();
    assert!((58_500..60_000).contains(&keys), "{keys}");
}

#[test]
fn a_person_is_on_a_board_once_and_everyone_on_some() {
    for drivers in [3000, 4000, 29_000] {
        let world = world(|it| it.drivers = drivers);
        let mut activity: HashMap<u64, u32> = HashMap::new();
        for board in world.boards() {
            let people: HashSet<u64> = board.entries().map(|entry| entry.user_id).collect();
            assert_eq!(people.len(), board.len() as usize, "{}", board.combination());
            for person in people {
                *activity.entry(person).or_default() += 1;
            }
        }
        assert_eq!(activity.len(), drivers as usize);
        let most = activity.values().copied().max().unwrap();
        // Where there are hardly more entries than people, nobody can have many.
        assert!(drivers == 29_000 || most > 10 * 30_000 / drivers, "the busiest has {most} entries");
    }
}

#[test]
fn the_same_options_give_the_same_bytes_in_any_order_and_another_seed_others() {
    let (one, two, other) = (world(|_| {}), world(|_| {}), world(|it| it.seed = 2));
    let json = |world: &World, board| -> Vec<String> {
        world.board(board).unwrap().entries().map(|entry| entry.json).collect()
    };
    let boards: Vec<Combination> = boards(&one).into_iter().step_by(50).collect();
    let forwards: Vec<_> = boards.iter().map(|&board| json(&one, board)).collect();
    let mut backwards: Vec<_> = boards.iter().rev().map(|&board| json(&two, board)).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert_ne!(forwards, boards.iter().map(|&board| json(&other, board)).collect::<Vec<_>>());
}

#[test]
fn a_change_gives_other_entries_but_as_many_the_same_in_every_world() {
    let (one, two) = (world(|_| {}), world(|_| {}));
    let changed = boards(&one)[3];
    let text =
        |world: &World| -> Vec<String> { world.board(changed).unwrap().entries().map(|entry| entry.json).collect() };
    let before = text(&one);
    one.change(changed).unwrap();
    two.change(changed).unwrap();
    assert_eq!((text(&one).len(), text(&one)), (before.len(), text(&two)));
    assert_ne!(text(&one), before);
    assert!(one.change("1-1".parse().unwrap()).is_err());
    let served: HashSet<u64> =
        one.boards().flat_map(|it| it.entries().map(|e| e.user_id).collect::<Vec<_>>()).collect();
    assert_eq!(served.len(), 4000, "everyone is still on some board");
}

#[test]
fn an_entry_reads_as_the_world_tells_and_has_the_services_shape() {
    let world = world(|it| it.odd_rate = 0.0);
    let (mut size, mut count, mut american) = (0, 0, 0);
    for board in world.boards() {
        let mut behind = -1.0;
        for (row, served) in (0..).zip(board.entries()) {
            let raw: &RawValue = serde_json::from_str(&served.json).unwrap();
            let entry = Entry::read(raw).unwrap();
            assert_eq!(Some(entry.driver.name.as_ref()), served.name.as_deref());
            assert_eq!((entry.index, served.index, served.position), (Some(row), Some(row), row + 1));
            assert!(entry.laptime.ends_with(entry.relative_laptime.as_ref()));
            assert!(seconds_behind(&entry.relative_laptime) >= behind);
            behind = seconds_behind(&entry.relative_laptime);
            american += u32::from(entry.date_time.contains('/'));
            size += served.json.len();
            count += 1;
        }
    }
    assert!((700..1000).contains(&(size / count)), "{} bytes an entry", size / count);
    assert!((count / 20..count / 8).contains(&(american as usize)), "{american} of {count}");
}

#[test]
fn odd_entries_are_valid_json_have_a_name_and_are_of_every_kind() {
    let world = world(|it| it.odd_rate = 0.2);
    let (mut kinds, mut odd) = (HashSet::new(), 0);
    for served in world.boards().flat_map(|board| board.entries().collect::<Vec<_>>()) {
        let raw: &RawValue = serde_json::from_str(&served.json).unwrap();
        let entry = Entry::read(raw).unwrap();
        assert_eq!((Some(entry.driver.name.as_ref()), entry.index), (served.name.as_deref(), served.index));
        if let Some(oddity) = served.oddity {
            odd += 1;
            kinds.insert(std::mem::discriminant(&oddity));
            assert_eq!(oddity == Oddity::HalfSurrogate, served.json.contains("\\ud800 "), "{}", served.json);
        }
    }
    assert_eq!(kinds.len(), 5);
    assert!((5400..6600).contains(&odd), "{odd} of 30000");
}

#[test]
fn nameless_entries_are_counted_and_nothing_else_is_missing() {
    assert_eq!(world(|_| {}).total_nameless(), 0);
    let world = world(|it| it.nameless_rate = 0.1);
    let (mut nameless, mut names) = (0, HashSet::new());
    for board in world.boards() {
        let mut here = 0;
        for served in board.entries() {
            let raw: &RawValue = serde_json::from_str(&served.json).unwrap();
            let read = Entry::read(raw).map(|entry| entry.driver.name.into_owned());
            assert_eq!(read, served.name);
            here += u32::from(read.is_none());
            names.extend(read.map(|name| name.to_lowercase()));
        }
        assert_eq!(board.nameless(), here);
        nameless += u64::from(here);
    }
    assert_eq!((world.total_nameless(), world.distinct_driver_keys()), (nameless, names.len()));
    assert!((2500..3500).contains(&nameless), "{nameless}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pages_put_together_are_the_board(seed in any::<u64>(), size in 0u32..60, count in 1u64..25) {
        let catalog = Catalog::from_toml("[[track]]\nid = 1\nname = 'A - B'\n[[class]]\nid = 2\nname = 'C'").unwrap();
        let board: Combination = "1-2".parse().unwrap();
        let board_sizes = BTreeMap::from([(board, size)]);
        let options =
            SimOptions { seed, catalog, entries: size.into(), drivers: 70, board_sizes, ..SimOptions::default() };
        let world = World::new(&options).unwrap();
        let mut pages = Vec::new();
        loop {
            let text = Page::new(&world, Asked { board, start: pages.len() as u64, count }).right();
            let page: serde_json::Value = {
                // Half a surrogate pair is not for this reader.
                serde_json::from_str(&text.replace("\\ud800", "x")).unwrap()
            };
            let results = page["context"]["c"]["results"].as_array().unwrap();
            pages.extend(results.iter().cloned());
            if (results.len() as u64) < count {
                break;
            }
        }
        let whole: Vec<serde_json::Value> = world.board(board).unwrap().entries()
            .map(|entry| serde_json::from_str(&entry.json.replace("\\ud800", "x")).unwrap()).collect();
        prop_assert_eq!(pages, whole);
    }
}
