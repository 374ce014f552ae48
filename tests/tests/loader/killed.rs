//! Killed at any moment, a run leaves whole files only, and the next goes on to the same end.

use std::fs;

use r3e_tests::harness::{
    Invocation, Moment, Place, board_files, driver_index, grid, read_status, top_combinations, until,
};
use r3e_tests::sim::{SimOptions, Simulator};
use std::time::Duration;

const KILLS: u32 = 50;

fn sim() -> Simulator {
    let latency = Duration::from_millis(2);
    let options = SimOptions { catalog: grid(12, 12), entries: 4000, drivers: 600, latency, ..SimOptions::default() };
    Simulator::start(options).unwrap()
}

/// Exports very often, so that kills also strike promotions and exports in the middle of a run.
fn loader(place: &Place, sim: &Simulator) -> Invocation {
    place.loader(&sim.base_url()).set("index.every", "10ms")
}

/// Reads all that front ends could read, to the last byte.
fn check_what_is_there(place: &Place) {
    let cache = place.cache();
    let (_boards, _staged) = (board_files(&cache), board_files(&place.staging()));
    if cache.join("driver_index.json.gz").exists() {
        let _index = driver_index(&cache);
    }
    if cache.join("top_combinations.json").exists() {
        let _top = top_combinations(&cache);
    }
    if cache.join("status.json").exists() {
        let _status = read_status(&cache);
    }
}

#[test]
fn after_each_of_fifty_kills_all_is_readable_and_the_end_is_the_same() {
    let sim = sim();
    let undisturbed = Place::with_catalog(sim.world().catalog());
    let _ended = loader(&undisturbed, &sim).run().with_code(0);
    let exports = |place: &Place| {
        ["driver_index.json.gz", "top_combinations.json"].map(|name| fs::read(place.cache().join(name)).unwrap())
    };
    let expected = exports(&undisturbed);

    let mut random = fastrand::Rng::with_seed(50);
    let (mut kills, mut in_time) = (0, 0);
    // Some moments never come in a run that has little left to do, and some are too short to be seen where there is little time.
    while kills < KILLS || (in_time < KILLS * 3 / 4 && kills < KILLS * 4) {
        let place = Place::with_catalog(sim.world().catalog());
        for _ in 0..random.u32(1..=3) {
            let moment = Moment::draw(&mut random, 144);
            sim.reset_stats();
            let mut running = loader(&place, &sim).spawn();
            until("the moment has come, or the run has ended", || moment.has_come(&place, &sim) || running.has_ended());
            in_time += u32::from(!running.has_ended());
            let ended = running.kill();
            kills += 1;
            assert!(matches!(ended.code(), None | Some(0)), "{moment:?}: {}", ended.stderr);
            check_what_is_there(&place);
        }
        let ended = loader(&place, &sim).run().with_code(0);
        assert_eq!(ended.boards("cached"), 144);
        assert!(exports(&place) == expected, "the index of an undisturbed run, byte for byte");
        assert!(board_files(&place.staging()).is_empty());
        assert_eq!(read_status(&place.cache())["fetch_in_progress"], false);
    }
    assert!(in_time >= KILLS * 3 / 4, "only {in_time} of {kills} kills struck a run that was at work");
}
