//! One writer at a time.

use r3e_tests::harness::{Differences, assert_serves, driver_index, simulated, until};
use r3e_tests::sim::SimOptions;

#[test]
fn the_second_job_names_the_first_and_the_next_starts_when_it_is_dead() {
    let (sim, place) = simulated(6, 6, SimOptions { entries: 400, drivers: 90, ..SimOptions::default() });
    sim.answer_only(0);
    let mut first = place.loader(&sim.base_url()).set("upstream.concurrency", "4").spawn();
    until("the first is at work", || sim.stats().in_flight == 4);
    let asked = sim.stats().requests;

    for arguments in [None, Some("--cached-only")] {
        let second = place.loader(&sim.base_url());
        let second = arguments.into_iter().fold(second, r3e_tests::harness::Invocation::argument).run().with_code(75);
        let second = second.naming(&["cache", "r3e-loader", &first.pid().to_string()]);
        assert_eq!(second.stdout, "");
    }
    // Another cache that shares the staging folder is no way around it.
    let staging = place.staging();
    let other =
        place.loader(&sim.base_url()).set("cache.dir", "other").set("cache.staging_dir", &staging.to_string_lossy());
    let _refused = other.run().with_code(75).naming(&[first.pid().to_string()]);
    assert!(!first.has_ended() && sim.stats().requests == asked, "the first works on, nobody else asks");

    assert_eq!(first.kill().code(), None);
    sim.answer_all();
    let _third = place.loader(&sim.base_url()).run().with_code(0);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}
