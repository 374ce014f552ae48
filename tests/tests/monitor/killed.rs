//! A watch that is killed at any moment leaves a valid history, and every run is imported exactly once.

use r3e_tests::harness::{Place, events_at, until};

use crate::place::{busy_watch, history, leave_record, monitor, sound_history, waiting};

#[test]
fn after_each_kill_the_history_is_valid_and_no_run_is_lost_or_duplicated() {
    // While it starts, while it takes records in, and when it has taken them all in.
    let _in_the_middle = kills_lose_nothing(6, |kill, before| (u32::MAX, before * (2 - kill as usize % 3) / 2));
}

#[test]
#[ignore = "random moments"]
fn after_each_of_fifty_kills_the_history_is_valid_and_no_run_is_lost_or_duplicated() {
    let mut random = fastrand::Rng::with_seed(50);
    let in_the_middle = kills_lose_nothing(50, |_, before| (random.u32(0..2000), random.usize(0..=before)));
    assert!(in_the_middle > 0);
}

/// Kills so many, each after so many looks at it, or when no more than so many records are left, of those that waited. Tells how
/// many were killed while they took records in.
fn kills_lose_nothing(kills: u32, mut moment: impl FnMut(u32, usize) -> (u32, usize)) -> u32 {
    let place = Place::new();
    let mut left = 0;
    let (mut at_work, mut in_the_middle) = (0, 0);
    for kill in 0..kills {
        for _ in 0..=(kill * 7) % 20 {
            leave_record(&place, left);
            left += 1;
        }
        let before = waiting(&place);
        let mut running = busy_watch(&place).spawn();
        let (mut looks, all_but) = moment(kill, before);
        until("the moment has come", || {
            looks = looks.saturating_sub(1);
            looks == 0 || waiting(&place) <= all_but || running.has_ended()
        });
        at_work += u32::from(!running.has_ended());
        in_the_middle += u32::from((1..before).contains(&waiting(&place)));
        let ended = running.kill();
        assert_eq!(ended.code(), None, "kill {kill}: {}", ended.stderr);
        if history(&place).exists() {
            let seen = monitor(&place, &["runs", "--json", "--last", "100000"]).run().with_code(0).json();
            let loaders = seen.as_array().unwrap().iter().filter(|it| it["program"] == "r3e-loader").count();
            assert_eq!(loaders, left as usize, "kill {kill}: in the history, or in a record");
            let taken_in = sound_history(&place);
            assert!(taken_in.is_sorted_by(|a, b| a < b), "kill {kill}: none twice: {taken_in:?}");
        }
    }
    leave_record(&place, left);
    left += 1;
    let running = busy_watch(&place).spawn();
    until("all is taken in", || waiting(&place) == 0);
    running.signal("TERM");
    let ended = running.wait().with_code(0);
    assert!(events_at(&ended.stderr, "ERROR").is_empty(), "{}", ended.stderr);
    assert_eq!(sound_history(&place), (0..left).collect::<Vec<_>>());
    assert_eq!(at_work, kills, "all struck one at work");
    in_the_middle
}
