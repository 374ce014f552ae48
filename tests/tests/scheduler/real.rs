//! The whole system with the real programs: a load at the start, and a refresh requested by the trigger file.

use r3e_tests::harness::{Differences, Place, assert_serves, board_files, driver_index, events, grid};
use r3e_tests::sim::{SimOptions, Simulator};

use crate::place::{Logged, logged, scheduler, stopped, trigger, trigger_is_over};

#[test]
fn a_load_and_refreshes_by_the_trigger_file() {
    let catalog = grid(4, 5);
    let place = Place::with_catalog(&catalog);
    let options = SimOptions { catalog: catalog.clone(), entries: 600, drivers: 200, ..SimOptions::default() };
    let sim = Simulator::start(options).unwrap();
    let running = scheduler(&place)
        .set("catalog.path", "catalog.toml")
        .set("upstream.base_url", &sim.base_url())
        .set("upstream.requests_per_second", "100000")
        .spawn();
    logged(&place, Logged::Done, 1);
    assert_eq!(board_files(&place.cache()).len(), 20);

    let board = "102-9003".parse().unwrap();
    sim.change_board(board).unwrap();
    sim.reset_stats();
    trigger(&place, "nonsense https://example.org/detail.html?track=102&class=9003 999999");
    logged(&place, Logged::Done, 2);
    let stats = sim.stats();
    assert_eq!(stats.distinct_boards, 1, "{stats:?}");
    trigger(&place, "nonsense");
    logged(&place, Logged::Failed, 1);
    trigger_is_over(&place);
    assert_eq!(sim.stats().listing_requests, stats.listing_requests, "of no board that is left, nothing is refreshed");
    trigger(&place, "");
    logged(&place, Logged::Done, 3);
    assert_eq!(sim.stats().distinct_boards, 20);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());

    let log = stopped(&place, running);
    let is_named =
        |part: &str| events(&log).iter().any(|it| it.job.as_deref() == Some("r3e-refresher") && it.names(part));
    for part in ["\"nonsense\"", "999999"] {
        assert!(is_named(part), "{part}: {log}");
    }
}
