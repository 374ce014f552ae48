//! `boards`: fetches the named boards and no others.

use std::fs;

use r3e_tests::harness::{Differences, Place, assert_serves, driver_index, grid};
use r3e_tests::sim::{SimOptions, Simulator};

use super::{change, files, filled, loaded, rewritten, sized, sorted};

#[test]
fn boards_named_several_times_are_fetched_once() {
    let (sim, place) = loaded(6, sized(900));
    let catalog = sim.world().catalog().clone();
    let track = catalog.tracks()[2].id;
    let one = catalog.combinations().last().unwrap();
    let named: Vec<_> = catalog.combinations().filter(|it| it.track == track || *it == one).collect();
    change(&sim, &filled(&sim));
    fs::write(place.path("list.txt"), format!("\u{feff}{one}\r\n\t{track} nonsense\r\n1-1\r\n")).unwrap();

    let before = files(&place, &sim);
    let ended =
        place.refresher(&sim.base_url(), &["boards", &track.to_string(), "--from", "list.txt"]).run().with_code(0);
    let stats = sim.stats();
    assert_eq!((ended.boards("due"), stats.distinct_boards), (7, 7));
    // Until it is known how long the service's pages are, a page may have another behind it: one request more.
    assert!((7..=14).contains(&stats.listing_requests), "{stats:?}");
    let _named = ended.naming(&["\"nonsense\"", "\"1-1\""]);
    let expected = sorted(named.into_iter().filter(|it| filled(&sim).contains(it)).collect());
    assert_eq!(rewritten(&before, &files(&place, &sim)), expected);

    // The same by a pipe, as scripts do it.
    sim.reset_stats();
    let piped = place.refresher(&sim.base_url(), &["boards", "--from", "-"]).input(&format!("\u{feff}{one}\r\n"));
    let ended = piped.run().with_code(0);
    assert_eq!((ended.boards("due"), sim.stats().distinct_boards), (1, 1));

    change(&sim, &[]);
    let _ended = place.refresher(&sim.base_url(), &["full"]).run().with_code(0);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn without_due_boards_nothing_is_touched() {
    let catalog = grid(3, 3);
    let place = Place::with_catalog(&catalog);
    let sim = Simulator::start(SimOptions { catalog, ..sized(30) }).unwrap();
    fs::write(place.path("empty.txt"), " \n").unwrap();
    fs::write(place.path("binary"), b"\xff\xfe").unwrap();
    let cases: [(&[&str], &[&str]); 6] = [
        (&["77", "1693-"], &["\"77\"", "\"1693-\""]),
        (&["--from", "empty.txt"], &[]),
        (&["--from", "none.txt"], &["--from", "none.txt", "No such file"]),
        (&["--from", "binary"], &["--from", "binary", "UTF-16"]),
        (&["--from", "."], &["--from", "directory"]),
        (&[], &["BOARDS"]),
    ];
    for (arguments, parts) in cases {
        let arguments: Vec<_> = ["boards"].iter().chain(arguments).copied().collect();
        let _ended = place.refresher(&sim.base_url(), &arguments).run().with_code(2).naming(parts);
    }
    assert!(!place.cache().exists() && !place.staging().exists() && sim.stats().requests == 0);
}
