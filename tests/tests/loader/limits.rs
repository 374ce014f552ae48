//! A memory limit is kept, or the job stops in order with 75.

use std::fs;

use r3e_tests::harness::{Differences, Place, assert_serves, board_files, driver_index, grid, read_status, snapshot};
use r3e_tests::sim::{SimOptions, Simulator};

#[test]
fn a_limit_that_no_work_fits_in_costs_nothing_but_the_run() {
    let catalog = grid(12, 12);
    let options = SimOptions { catalog: catalog.clone(), entries: 4000, drivers: 900, ..SimOptions::default() };
    let (sim, place) = (Simulator::start(options).unwrap(), Place::with_catalog(&catalog));
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    let before = snapshot(&place.cache());
    for arguments in [&["--cached-only"][..], &[]] {
        let limited = place.loader(&sim.base_url()).arguments(arguments).set("cache.max_age", "0s");
        let ended = limited.variable("MEMORY_LIMIT_MB", "3").run().with_code(75);
        assert!(ended.stderr.contains("memory"), "{}", ended.stderr);
        assert_eq!(snapshot(&place.cache()), before);
        assert!(board_files(&place.staging()).is_empty());
        assert_eq!(read_status(&place.cache())["fetch_in_progress"], false);
    }
    let _ended = place.loader(&sim.base_url()).set("cache.max_age", "0s").run().with_code(0);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn what_is_no_limit_is_refused() {
    let place = Place::new();
    for wrong in ["0", "-5", "lots"] {
        let variable = place.loader("http://127.0.0.1:9").variable("MEMORY_LIMIT_MB", wrong).run().with_code(78);
        let flag = place.loader("http://127.0.0.1:9").arguments(&["--memory-limit-mb", wrong]).run().with_code(78);
        for ended in [variable, flag] {
            assert!(ended.stderr.contains(wrong) && ended.stderr.contains("memory.limit_mb"), "{}", ended.stderr);
        }
        fs::write(place.path("r3e.toml"), format!("[memory]\nlimit_mb = \"{wrong}\"\n")).unwrap();
        let file = place.loader("http://127.0.0.1:9").run().with_code(78);
        assert!(file.stderr.contains("r3e.toml:2"), "{}", file.stderr);
        fs::write(place.path("r3e.toml"), "").unwrap();
    }
}
