//! Readers that read continuously while boards are promoted and indexes are exported.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use r3e_common::domain::Combination;
use r3e_tests::harness::{Observed, Place, age, board_file, grid, read_published, until};
use r3e_tests::sim::{SimOptions, Simulator};
use std::time::Duration;

const PROMOTIONS: usize = 20;

#[test]
fn a_reader_never_fails_and_never_finds_an_entry_without_its_board() {
    let catalog = grid(8, 8);
    let boards: Vec<Combination> = catalog.combinations().collect();
    let place = Place::in_memory(&catalog);
    let options = SimOptions { catalog, entries: 1500, drivers: 300, ..SimOptions::default() };
    let sim = Simulator::start(options).unwrap();
    let url = sim.base_url();
    let _first = place.loader(&url).run().with_code(0);

    let (over, passes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = Observed::default();
            while !over.load(Ordering::Acquire) {
                read_published(&place.cache(), &boards, &mut seen);
                passes.store(seen.passes, Ordering::Release);
            }
            seen
        });
        let refreshes = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for number in 0..PROMOTIONS {
                refresh(&place, &sim, &boards, number);
                // One that has begun since, and whatever the machine does beside.
                let before = passes.load(Ordering::Acquire);
                until("the reader has looked", || passes.load(Ordering::Acquire) >= before + 2 || reader.is_finished());
            }
        }));
        over.store(true, Ordering::Release);
        let seen = reader.join().unwrap();
        refreshes.unwrap();
        seen
    });
    assert!(seen.passes >= PROMOTIONS, "{seen:?}");
    assert!(seen.generations.len() >= PROMOTIONS / 2 && seen.together >= PROMOTIONS / 2, "{seen:?}");
    read_published(&place.cache(), &boards, &mut Observed::default());
}

/// Changes a third of the boards and lets a job bring them in.
fn refresh(place: &Place, sim: &Simulator, boards: &[Combination], number: usize) {
    let changed: Vec<Combination> = boards.iter().copied().skip(number % 3).step_by(3).collect();
    for &board in &changed {
        sim.change_board(board).unwrap();
        age(&board_file(&place.cache(), board), Duration::from_hours(48));
    }
    let (url, named) = (sim.base_url(), changed.iter().map(ToString::to_string).collect::<Vec<_>>());
    let job = match number % 4 {
        0 => place.loader(&url),
        1 => place.refresher(&url, &["full", "--fresh"]),
        2 => place.refresher(&url, &["boards"]).arguments(&named),
        _ => place.refresher(&url, &["incremental"]),
    };
    let ended = job.set("index.every", "5ms").run().with_code(0);
    assert!(ended.boards("changed") > 0, "{}", ended.stderr);
}
