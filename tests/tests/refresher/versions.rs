//! If the service sends `ETag` or `Last-Modified`, boards are requested conditionally and sent only if they have changed.

use r3e_tests::harness::{Differences, Invocation, assert_serves, driver_index};
use r3e_tests::sim::SimOptions;

use super::{age_all, change, files, filled, loaded_by, rewritten, sized, sorted};

/// One board after the other: the first, which is the largest, tells how long pages are. A board of which that is not known
/// yet may have another page, and no version is kept of it.
fn in_order(program: Invocation) -> Invocation {
    program.set("upstream.concurrency", "1")
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let catalog = r3e_tests::harness::grid(8, 8);
    let large = catalog.combinations().next().unwrap();
    let board_sizes = [(large, 1600)].into();
    let (sim, place) = loaded_by(8, SimOptions { etag: true, board_sizes, drivers: 2000, ..sized(5000) }, in_order);
    let changed: Vec<_> = filled(&sim).into_iter().filter(|it| *it != large).step_by(4).collect();
    change(&sim, &changed);
    age_all(&place, &sim);
    let before = files(&place, &sim);
    let ended = in_order(place.refresher(&sim.base_url(), &["full"])).run().with_code(0);
    // A board of two pages is sent: the version of a page says nothing of the next.
    assert_eq!(sim.stats().not_modified, 64 - changed.len() as u64 - 1);
    assert_eq!(ended.boards("changed"), changed.len() as u64);
    assert_eq!(ended.boards("unchanged") + ended.boards("empty"), 64 - changed.len() as u64);
    let now = files(&place, &sim);
    assert_eq!(rewritten(&before, &now), sorted(changed));
    assert!(now.iter().all(|(board, (_, written))| *written > before[board].1), "their age is renewed");
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());

    sim.reset_stats();
    let again = place.refresher(&sim.base_url(), &["incremental"]).run().with_code(0);
    assert_eq!((sim.stats().not_modified, again.boards("changed")), (63, 0), "also those that had changed");
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn a_board_whose_file_was_removed_meanwhile_is_sent_whole() {
    let large = r3e_tests::harness::grid(4, 4).combinations().next().unwrap();
    let board_sizes = [(large, 200)].into();
    let (sim, place) = loaded_by(4, SimOptions { etag: true, board_sizes, ..sized(400) }, in_order);
    let victim = filled(&sim)[1];
    std::fs::remove_file(r3e_tests::harness::board_file(&place.cache(), victim)).unwrap();
    let ended = place.refresher(&sim.base_url(), &["full"]).run().with_code(0);
    // The largest is fetched again too: as far as is known, it may have another page.
    assert_eq!((ended.boards("changed"), sim.stats().not_modified), (1, 14));
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}
