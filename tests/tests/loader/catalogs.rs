//! A different catalogue for an existing cache: only the boards that it adds are fetched.

use r3e_common::domain::Catalog;
use r3e_tests::harness::{Differences, Place, assert_serves, driver_index};
use r3e_tests::sim::{SimOptions, Simulator};

/// What the first release's catalogue had not.
const NEW_TRACKS: [u32; 10] = [13352, 13425, 13368, 13369, 13256, 13467, 13339, 13340, 13187, 13338];
const NEW_CLASSES: [u32; 3] = [13397, 12302, 13358];

/// The catalogue of the first release: 14,703 boards.
fn earlier() -> Catalog {
    let mut file: toml::Table = Catalog::builtin().to_toml().parse().unwrap();
    for (kind, new) in [("track", &NEW_TRACKS[..]), ("class", &NEW_CLASSES[..])] {
        let rows = file[kind].as_array_mut().unwrap();
        rows.retain(|row| !new.iter().any(|&id| row["id"].as_integer() == Some(id.into())));
        for row in rows {
            let name = row["name"].as_str().unwrap().replace("WTCR 20", "WTCC 20");
            row["name"] = name.into();
        }
    }
    Catalog::from_toml(&file.to_string()).unwrap()
}

#[test]
fn a_cache_made_with_the_first_catalogue_is_usable() {
    let (before, now) = (earlier(), Catalog::builtin());
    assert_eq!((before.len(), now.len()), (14_703, 16_110));
    let place = Place::with_catalog(&before);
    let sim = Simulator::start(SimOptions { entries: 40_000, drivers: 4000, ..SimOptions::default() }).unwrap();
    let loader = || place.loader(&sim.base_url()).set("upstream.concurrency", "64");
    assert_eq!(loader().run().with_code(0).boards("fetched"), 14_703);

    sim.reset_stats();
    std::fs::write(place.path("catalog.toml"), now.to_toml()).unwrap();
    let ended = loader().run().with_code(0);
    assert_eq!((ended.boards("fetched"), sim.stats().distinct_boards), (1407, 1407));
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn a_diff_names_what_a_file_adds_and_renames() {
    let place = Place::with_catalog(&earlier());
    std::fs::write(place.path("new.toml"), Catalog::builtin().to_toml()).unwrap();
    let diff = || place.loader("http://127.0.0.1:9").argument("catalog").argument("diff");
    let found = diff().argument("new.toml").run().with_code(0).json();
    let of = |change: &str, kind: &str| {
        let changes = found["changes"].as_array().unwrap().iter();
        changes.filter(|it| it["change"] == change && it["kind"] == kind).count()
    };
    let kinds = |kind| ["added", "removed", "renamed"].map(|change| of(change, kind));
    assert_eq!((kinds("track"), kinds("class")), ([10, 0, 0], [3, 0, 5]));
    let _missing = diff().argument("none.toml").run().with_code(78);
}
