//! Today's files as published by the real loader, against a slow and simple model of them.

#[path = "../../../common/src/index/tests/model/mod.rs"]
mod model;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use r3e_common::domain::{Catalog, Rating, Ratings};
use r3e_tests::harness::{Place, board_file, grid, gunzip, gzip, read_json};
use r3e_tests::sim::{SimOptions, Simulator};

use super::golden;

/// Compares what is published in a cache with the model.
fn check(cache: &Path, catalog: &Catalog) {
    let mut published = BTreeMap::new();
    let mut folders = vec![PathBuf::from("index"), PathBuf::from("stats")];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(cache.join(&folder)).unwrap().map(Result::unwrap) {
            let name = folder.join(file.file_name());
            if file.file_type().unwrap().is_dir() {
                folders.push(name);
            } else {
                published.insert(name.to_str().unwrap().to_owned(), fs::read(file.path()).unwrap());
            }
        }
    }
    let manifest = read_json(&cache.join("stats/index.json"));
    model::check(cache, catalog, None, &published, manifest["updated_at"].as_str().unwrap());
}

/// Replaces a text in every third board, from that one on.
fn replace(cache: &Path, catalog: &Catalog, first: usize, from: &str, to: &str) {
    let mut changed = 0;
    for board in catalog.combinations().skip(first).step_by(3) {
        let path = board_file(cache, board);
        let text = String::from_utf8(gunzip(&fs::read(&path).unwrap(), &path)).unwrap();
        changed += usize::from(text.contains(from));
        fs::write(&path, gzip(text.replace(from, to).as_bytes())).unwrap();
    }
    assert!(changed > 0, "{from}");
}

#[test]
fn the_files_of_simulated_worlds_are_those_of_the_model() {
    for seed in 1..4 {
        let catalog = grid(6, 7);
        let place = Place::with_catalog(&catalog);
        // Boards of one entry, as of hillclimbs, and large ones.
        let board_sizes = catalog.combinations().zip([1, 1, 400, 3, 2, 4]).collect();
        let options = SimOptions { seed, entries: 2500, drivers: 400, board_sizes, ..SimOptions::default() };
        let options = SimOptions { odd_rate: 0.1, nameless_rate: 0.02, ..options };
        let sim = Simulator::start(SimOptions { catalog: catalog.clone(), ..options }).unwrap();
        let _ended = place.loader(&sim.base_url()).run().with_code(0);
        check(&place.cache(), &catalog);

        // Drivers without an id, some of whom then have equal names; renamed drivers; boards out of order.
        let cache = place.cache();
        replace(&cache, &catalog, 0, "/users/info/", "/users/about/x");
        replace(&cache, &catalog, 1, "\"name\":\"", "\"name\":\"Á ");
        replace(&cache, &catalog, 2, "\"index\":1", "\"index\":2");
        // Earlier identities stay in the index, and lists that did not change keep their time: the model does not know either.
        fs::remove_dir_all(cache.join("index")).unwrap();
        fs::remove_dir_all(cache.join("stats")).unwrap();
        let _ended = place.loader(&sim.base_url()).argument("--cached-only").run().with_code(0);
        check(&cache, &catalog);
    }
}

#[test]
fn the_files_of_the_golden_cache_are_those_of_the_model() {
    let Some(place) = golden::unpacked() else { return };
    let _ended = place.loader(golden::NOWHERE).argument("--cached-only").run().with_code(0);
    check(&place.cache(), &Catalog::builtin());
}
