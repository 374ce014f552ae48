//! One writer at a time.

use std::time::Duration;

use r3e_tests::harness::{Differences, Place, assert_serves, driver_index, grid, until};
use r3e_tests::sim::{SimOptions, Simulator};

#[test]
fn the_second_is_told_who_is_at_work_and_the_next_starts_when_the_first_is_dead() {
    let catalog = grid(6, 6);
    let place = Place::with_catalog(&catalog);
    let latency = Duration::from_mins(10);
    let options = SimOptions { catalog, entries: 400, drivers: 90, latency, ..SimOptions::default() };
    let sim = Simulator::start(options).unwrap();
    let mut first = place.loader(&sim.base_url()).spawn();
    until("the first is at work", || sim.stats().requests == 1);

    for arguments in [None, Some("--cached-only")] {
        let second = place.loader(&sim.base_url());
        let second = arguments.into_iter().fold(second, r3e_tests::harness::Invocation::argument).run().with_code(75);
        for part in
            ["another writer is at work", "cache", "r3e-loader (pid ", &format!("pid {}", first.pid()), "loading"]
        {
            assert!(second.stderr.contains(part), "{part:?} in {}", second.stderr);
        }
        assert_eq!(second.stdout, "");
    }
    // Another cache that shares the staging folder is no way around it.
    let staging = place.staging();
    let other =
        place.loader(&sim.base_url()).set("cache.dir", "other").set("cache.staging_dir", &staging.to_string_lossy());
    assert!(other.run().with_code(75).stderr.contains(&format!("pid {}", first.pid())));
    assert!(!first.has_ended() && sim.stats().requests == 1, "the first works on, nobody else asks");

    assert_eq!(first.kill().code(), None);
    sim.set_latency(Duration::ZERO);
    let _third = place.loader(&sim.base_url()).run().with_code(0);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}
