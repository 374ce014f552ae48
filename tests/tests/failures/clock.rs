//! Boards and refreshes with times in the future, after a clock that was ahead has been corrected.

use std::time::{Duration, SystemTime};

use r3e_tests::harness::{Place, What, age, board_file, board_files};

use super::cells::run_all;
use super::job::{JOBS, Job};
use super::world::{LEFT, PROMOTED, World, same, set_written};

const HOUR: u64 = 3600;

/// Lets the cached boards look as if they had been written so many hours from now; those in staging were written now.
fn cached_in_the_future(place: &Place, hours: u64) {
    let future = SystemTime::now() + Duration::from_secs(hours * HOUR);
    for board in board_files(&place.cache()).into_keys() {
        set_written(&board_file(&place.cache(), board), future);
    }
}

#[test]
fn boards_from_the_future_do_not_outdate_what_is_staged_now() {
    let world = World::new();
    let cells =
        [23, 25, 24 * 365].into_iter().flat_map(|hours| JOBS.map(|job| (format!("{hours} h, {job:?}"), (hours, job))));
    run_all(cells, |&(hours, job)| {
        let place = world.place();
        let staged = board_files(&place.staging());
        cached_in_the_future(&place, hours);
        let ended = job.at(&place, &world.sim).run().with_code(0);
        assert_eq!(ended.boards("left_by_interrupted_run"), u64::from(LEFT), "{}", ended.stderr);
        world.assert_nothing_lost(&place);
        let cached = board_files(&place.cache());
        assert!(staged.iter().all(|(board, it)| same(&cached[board], it)), "what was staged is promoted");
        // For less than a day a load takes them for as fresh as they say.
        if job != Job::Load || hours > 24 {
            world.assert_undisturbed(&place);
        }
    });
}

#[test]
fn a_leftover_older_than_its_cached_board_is_not_promoted() {
    let world = World::new();
    for job in JOBS {
        let place = world.place();
        for board in board_files(&place.staging()).into_keys() {
            age(&board_file(&place.staging(), board), Duration::from_secs(50 * HOUR));
        }
        let ended = job.at(&place, &world.sim).run().with_code(0);
        assert_eq!(ended.boards("left_by_interrupted_run"), 0, "{job:?}: {}", ended.stderr);
        world.assert_undisturbed(&place);
    }
}

#[test]
fn a_full_refresh_that_began_in_the_future_restarts() {
    let world = World::new();
    for (hours_ahead, resumed) in [(0, 1), (24, 0)] {
        let place = world.place();
        let killed = Job::Full.at(&place, &world.sim).clock_ahead(hours_ahead * 3600);
        let ended = killed.struck(&[PROMOTED], What::Signal(9)).run();
        assert_eq!(ended.code(), None, "{}", ended.stderr);
        let next = Job::Full.at(&place, &world.sim).run().with_code(0);
        assert_eq!(next.events_with(&["left", "of", "since"]).len(), resumed, "{}", next.stderr);
        world.assert_undisturbed(&place);
    }
}
