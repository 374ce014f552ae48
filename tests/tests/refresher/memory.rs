//! The memory of a job at the size of the real service.

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
#[ignore = "size: takes a minute and a half"]
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

    // With a limit, a job stays below it and publishes the same bytes: the driver index alone in 48 MB, all files in 64.
    let exports = || {
        let files = ["driver_index.json.gz", "top_combinations.json", "all_combinations.json.gz"].map(str::to_owned);
        let shards = ["entries", "metadata"]
            .into_iter()
            .flat_map(|kind| ('a'..='z').chain(['_']).map(move |shard| format!("index/{kind}/{shard}.json.gz")));
        let others = ["index/mirror.json.gz", "index/teams.json.gz"];
        let paths = files.into_iter().chain(shards).chain(others.map(str::to_owned));
        paths.map(|it| (fs::read(place.cache().join(&it)).ok(), it)).collect::<Vec<_>>()
    };
    let unlimited = exports();
    for (formats, limit_mb, files) in [("2026-02,2026-04", 64, unlimited.len()), ("2026-02", 48, 2)] {
        fs::remove_file(place.cache().join("driver_index.json.gz")).unwrap();
        let limited = place.refresher(&sim.base_url(), &few_boards).set("index.formats", formats);
        let limited = limited.variable("MEMORY_LIMIT_MB", &limit_mb.to_string()).run().with_code(0);
        assert!(peak(&limited) <= limit_mb << 20, "{} bytes; it said {}", peak(&limited), limited.stderr);
        assert!(exports()[..files] == unlimited[..files], "{formats} in {limit_mb} MB");
    }
}

#[test]
fn a_limit_that_is_too_small_is_refused_with_one_that_is_enough() {
    let sim = Simulator::start(SimOptions { entries: 60_000, drivers: 12_000, ..SimOptions::default() }).unwrap();
    let place = Place::new();
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    let index = || fs::read(place.cache().join("driver_index.json.gz")).unwrap();
    let unlimited = index();
    // At once for the driver index alone, large boards included. What today's files take beside it is known once drivers are
    // collected, so an error may name a larger limit then.
    for (formats, errors) in [("2026-02", 1), ("2026-02,2026-04", 3)] {
        fs::remove_file(place.cache().join("driver_index.json.gz")).unwrap();
        let (mut limit_mb, mut named) = (12, 0);
        let limited = loop {
            let loader = place.loader(&sim.base_url()).argument("--cached-only").set("index.formats", formats);
            let ended = loader.variable("MEMORY_LIMIT_MB", &limit_mb.to_string()).run();
            if ended.code() != Some(78) {
                break ended.with_code(0);
            }
            // The only figure with its unit.
            let figure = ended.stderr.split_once(" MB").unwrap().0.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(figure > limit_mb, "{figure} MB is named in {limit_mb} MB");
            (limit_mb, named) = (figure, named + 1);
        };
        assert!((1..=errors).contains(&named), "{formats}: {named} errors until {limit_mb} MB");
        assert!(peak(&limited) <= limit_mb << 20, "{} bytes in {limit_mb} MB", peak(&limited));
        assert!(index() == unlimited, "{formats} in {limit_mb} MB");
    }
}
