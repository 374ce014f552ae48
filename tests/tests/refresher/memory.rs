//! What a job holds at the real service's size.

use std::fs;

use r3e_common::domain::Combination;
use r3e_tests::harness::{Differences, Ended, Place, assert_serves, driver_index};
use r3e_tests::sim::{SimOptions, Simulator};

use super::{change, filled};

/// The most that a job may have resident at 300,000 entries.
const MOST_BYTES: u64 = 100 << 20;

/// How much more a run of all boards may hold than one of a tenth of them: by how much runs of one kind differ.
const NOISE_BYTES: u64 = 20 << 20;

fn peak(ended: &Ended) -> u64 {
    ended.json()["memory"]["peak_rss_bytes"].as_u64().unwrap()
}

#[test]
fn no_job_passes_100_mb_and_none_grows_with_its_boards() {
    let sim = Simulator::start(SimOptions::default()).unwrap();
    let place = Place::new();
    let mut peaks = vec![("load", peak(&place.loader(&sim.base_url()).run().with_code(0)))];
    let filled = filled(&sim);
    change(&sim, &filled.iter().copied().step_by(2).collect::<Vec<_>>());
    let mut run = |what, arguments: &[&str], changed: usize| {
        let ended = place.refresher(&sim.base_url(), arguments).run().with_code(0);
        assert_eq!(ended.boards("changed"), changed as u64, "{what}");
        peaks.push((what, peak(&ended)));
        peaks.last().unwrap().1
    };
    let catalog = sim.world().catalog();
    let tracks: Vec<String> = catalog.tracks()[..17].iter().map(|track| track.id.to_string()).collect();
    let few_boards: Vec<_> = ["boards"].into_iter().chain(tracks.iter().map(String::as_str)).collect();
    let is_of_few = |board: &Combination| tracks.contains(&board.track.to_string());
    let changed: Vec<_> = filled.iter().copied().step_by(2).collect();
    let of_few = changed.iter().filter(|it| is_of_few(it)).count();
    let few = run("a tenth", &few_boards, of_few);
    let all = run("all boards", &["full"], changed.len() - of_few);
    change(&sim, &filled[..500]);
    let slice = run("a slice", &["incremental", "--limit", "14000"], 500);
    assert!(peaks.iter().all(|(_, bytes)| *bytes < MOST_BYTES), "{peaks:?}");
    // What grows with boards would show in both of the large runs.
    assert!(all.min(slice) <= few + NOISE_BYTES, "{peaks:?}");
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());

    // Told to live in less, a job does, and what it publishes is the same to the byte.
    let exports =
        || ["driver_index.json.gz", "top_combinations.json"].map(|it| fs::read(place.cache().join(it)).unwrap());
    let unlimited = exports();
    fs::remove_file(place.cache().join("driver_index.json.gz")).unwrap();
    let limited = place.refresher(&sim.base_url(), &few_boards).variable("MEMORY_LIMIT_MB", "48").run().with_code(0);
    assert!(peak(&limited) <= 48 << 20, "{} bytes; it said {}", peak(&limited), limited.stderr);
    assert!(exports() == unlimited);

    // Told to live in what no index fits in, it names a limit in which one does, large boards included.
    let cached_only = |limit_mb: &str| {
        place.loader(&sim.base_url()).argument("--cached-only").variable("MEMORY_LIMIT_MB", limit_mb).run()
    };
    // The only figure with its unit.
    let refused = cached_only("16").with_code(78).stderr;
    let named = refused.split_once(" MB").unwrap().0.rsplit(' ').next().unwrap();
    fs::remove_file(place.cache().join("driver_index.json.gz")).unwrap();
    let limited = cached_only(named).with_code(0);
    assert!(peak(&limited) <= named.parse::<u64>().unwrap() << 20, "{} bytes in {named} MB", peak(&limited));
    assert!(exports() == unlimited);
}
