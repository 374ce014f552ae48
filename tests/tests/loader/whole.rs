//! The whole catalogue at the size of the real service, and the requests that the service sees.

use std::fs;
use std::time::Duration;

use r3e_common::domain::Catalog;
use r3e_tests::harness::{
    Differences, Place, age, assert_serves, board_file, board_files, distinct_drivers, driver_index, grid, read_status,
    simulated, top_combinations,
};
use r3e_tests::sim::{SimOptions, Simulator};

/// How many requests beyond the first a board takes once the service has sent a full page: one that is at least half as long
/// may not be the last, and the next begins with its last entry.
fn further_pages(entries: u32) -> u64 {
    (0..entries).take_while(|page| entries.saturating_sub(page * 1499) >= 750).count() as u64
}

#[test]
fn every_entry_is_in_the_index_once_and_nothing_is_requested_twice() {
    let sim = Simulator::start(SimOptions { nameless_rate: 0.002, ..SimOptions::default() }).unwrap();
    let (world, place) = (sim.world(), Place::new());
    let ended = place.loader(&sim.base_url()).run().with_code(0);

    let index = driver_index(&place.cache());
    assert_serves(&index, world, &Differences::default());
    let named = world.total_entries() - world.total_nameless();
    assert_eq!((index.rows().count() as u64, index.0.len()), (named, world.distinct_driver_keys()));
    let files = board_files(&place.cache());
    let entries: usize = files.values().map(|board| board.entries.len()).sum();
    assert_eq!((files.len(), entries), (16_110, 300_000));
    assert!(board_files(&place.staging()).is_empty());

    let stats = sim.stats();
    let further: u64 = world.boards().map(|board| further_pages(board.len())).sum();
    assert!(further > 0, "some boards have several pages");
    assert_eq!(stats.distinct_boards, 16_110);
    // Until a full page has come, shorter ones may not be the last either.
    let least = 16_110 + further;
    assert!((least..least + 147).contains(&stats.listing_requests), "{} of {least}", stats.listing_requests);
    assert!((1..=2).contains(&stats.page_requests), "{stats:?}");
    assert_eq!(stats.ratings_requests, 1);
    assert_eq!(stats.requests, stats.listing_requests + stats.page_requests + 1);
    assert_eq!((stats.without_script_header, stats.without_session, stats.with_ended_session), (0, 0, 0));
    assert!(stats.connections_accepted <= 6 && stats.in_flight_peak <= 4, "{stats:?}");
    let agent: Vec<_> = stats.user_agents.keys().collect();
    assert!(matches!(&agent[..], [agent] if agent.starts_with("r3e-leaderboard/") && agent.contains("https://")));

    let (result, told) = (ended.json(), read_status(&place.cache()));
    assert_eq!(result["requests"]["sent"], stats.requests);
    assert_eq!((ended.boards("fetched"), ended.boards("promoted"), ended.boards("failed")), (16_110, 16_110, 0));
    assert_eq!(result["entries_without_driver"], world.total_nameless());
    assert_eq!(told["track_count"], world.boards_with_entries());
    assert_eq!(
        (&told["total_entries"], &told["total_drivers"]),
        (&named.into(), &distinct_drivers(files.values()).into())
    );
    assert_eq!((&told["fetch_in_progress"], &told["failed_fetch_count"]), (&false.into(), &0.into()));
    let top = top_combinations(&place.cache());
    let mut sizes: Vec<u32> = world.boards().map(|board| board.len()).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    assert!(top.iter().map(|it| it["entry_count"].as_u64().unwrap()).eq(sizes[..1000].iter().map(|&it| u64::from(it))));

    sim.reset_stats();
    let again = place.loader(&sim.base_url()).run().with_code(0);
    assert_eq!((sim.stats().requests, again.boards("due")), (0, 0));
    assert_eq!(again.json()["index"]["changed"], false);

    let old: Vec<_> = Catalog::builtin().combinations().step_by(401).collect();
    for &board in &old {
        sim.change_board(board).unwrap();
        age(&board_file(&place.cache(), board), Duration::from_hours(25));
    }
    let ended = place.loader(&sim.base_url()).run().with_code(0);
    let further: u64 = old.iter().map(|&board| further_pages(world.entry_count(board))).sum();
    let stats = sim.stats();
    assert_eq!(stats.distinct_boards, old.len() as u64);
    let (least, filled) =
        (old.len() as u64 + further, old.iter().filter(|&&board| world.entry_count(board) > 0).count());
    assert!((least..=least + filled as u64).contains(&stats.listing_requests), "{} of {least}", stats.listing_requests);
    assert_eq!((ended.boards("due"), ended.boards("fetched")), (old.len() as u64, old.len() as u64));
    let now = board_files(&place.cache());
    let rewritten: Vec<_> =
        Catalog::builtin().combinations().filter(|it| files[it].written != now[it].written).collect();
    assert_eq!(rewritten, old, "exactly those that were old");
    assert_serves(&driver_index(&place.cache()), world, &Differences::default());
}

#[test]
fn no_second_has_more_requests_than_allowed() {
    let catalog = grid(25, 24);
    let options = SimOptions { catalog: catalog.clone(), entries: 3000, drivers: 500, ..SimOptions::default() };
    let (sim, place) = (Simulator::start(options).unwrap(), Place::with_catalog(&catalog));
    let _ended = place.loader(&sim.base_url()).set("upstream.requests_per_second", "200").run().with_code(0);
    let stats = sim.stats();
    assert_eq!(stats.distinct_boards, 600);
    // Turns may come early by the grain of a timer, 20 ms; and a request may be seen later than it was sent.
    let burst = 200 / 50 + 1 + 4;
    assert!(stats.requests_per_second_peak <= 200 + burst, "{stats:?}");
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn the_folder_of_the_archive_is_left_alone() {
    let (sim, place) = simulated(3, 4, SimOptions { entries: 300, drivers: 60, ..SimOptions::default() });
    let folder = place.cache().join("archive");
    fs::create_dir_all(folder.join("track_1")).unwrap();
    let names =
        ["status.json", "1-2.json", ".1-2.json.tmp", "x", "track_1/.class_2.json.gz.tmp", "track_1/class_2.json.gz"];
    for name in names {
        fs::write(folder.join(name), name).unwrap();
    }
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    // What the archive writes after a job is no change for the next one.
    fs::write(folder.join("3-4.json"), "{}").unwrap();
    let made = || read_status(&place.cache())["last_index_update"].clone();
    let before = made();
    let _ended = place.loader(&sim.base_url()).argument("--cached-only").run().with_code(0);
    assert_eq!(made(), before, "the index was not made again");
    assert!(names.iter().all(|name| fs::read(folder.join(name)).unwrap() == name.as_bytes()));
    assert_eq!(fs::read(folder.join("3-4.json")).unwrap(), b"{}");
}

#[test]
fn only_the_boards_asked_for_are_fetched() {
    let catalog = grid(6, 5);
    let options = SimOptions { catalog: catalog.clone(), entries: 600, drivers: 90, ..SimOptions::default() };
    let (sim, place) = (Simulator::start(options).unwrap(), Place::with_catalog(&catalog));
    let track = catalog.tracks()[2].id;
    let one = catalog.combinations().last().unwrap();
    let ended = place.loader(&sim.base_url()).argument("--only").argument(format!("{track},{one}")).run().with_code(0);
    assert_eq!((ended.boards("due"), sim.stats().distinct_boards), (6, 6));
    let expected: Vec<_> = catalog.combinations().filter(|it| it.track == track || *it == one).collect();
    let mut files: Vec<_> = board_files(&place.cache()).into_keys().collect();
    files.sort_by_key(|&it| catalog.ordinal(it));
    assert_eq!(files, expected);
    // The rest is fetched by the next run that is not told to leave it.
    let ended = place.loader(&sim.base_url()).set("index.plain", "true").run().with_code(0);
    assert_eq!((ended.boards("due"), sim.stats().distinct_boards), (24, 30));
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    for (combination, file) in board_files(&place.cache()) {
        let served: Vec<_> = sim.world().board(combination).unwrap().entries().map(|entry| entry.json).collect();
        assert_eq!(file.entries, served, "{combination}: as it was sent, character by character");
    }
    let plain = fs::read(place.cache().join("driver_index.json")).unwrap();
    let gzip = place.cache().join("driver_index.json.gz");
    assert_eq!(plain, r3e_tests::harness::gunzip(&fs::read(&gzip).unwrap(), &gzip));
}
