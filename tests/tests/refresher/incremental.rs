//! `incremental`: fetches the oldest boards first, and writes each to its final path at once.

use std::time::Duration;

use r3e_tests::harness::{
    Differences, age, assert_serves, board_file, board_files, driver_index, driver_index_and_generation, until,
};
use r3e_tests::sim::{FaultKind, Faults};

use super::{age_all, change, files, filled, loaded, rewritten, sized, sorted};

#[test]
fn as_many_as_asked_for_are_fetched_oldest_first() {
    let (sim, place) = loaded(6, sized(900));
    let filled = filled(&sim);
    change(&sim, &filled);
    age_all(&place, &sim);
    let oldest: Vec<_> = filled.iter().copied().step_by(3).take(4).collect();
    for (number, &board) in (0..).zip(&oldest) {
        age(&board_file(&place.cache(), board), Duration::from_hours(100 - number));
    }
    for (limit, expected) in [("3", &oldest[..3]), ("1", &oldest[3..])] {
        let before = files(&place, &sim);
        let ended = place.refresher(&sim.base_url(), &["incremental", "--limit", limit]).run().with_code(0);
        assert_eq!(ended.boards("changed"), expected.len() as u64);
        assert_eq!(rewritten(&before, &files(&place, &sim)), sorted(expected.to_vec()));
    }
    let track = filled[0].track;
    sim.reset_stats();
    let ended = place.refresher(&sim.base_url(), &["incremental", "--track", &track.to_string()]).run().with_code(0);
    assert_eq!((ended.boards("due"), sim.stats().distinct_boards), (6, 6));
    let _ended = place.refresher(&sim.base_url(), &["incremental"]).run().with_code(0);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn boards_are_published_as_they_arrive_and_the_index_every_hundred() {
    let (sim, place) = loaded(24, sized(6000));
    let changed: Vec<_> = filled(&sim).into_iter().take(250).collect();
    assert_eq!(changed.len(), 250, "{}", filled(&sim).len());
    for &board in &changed {
        age(&board_file(&place.cache(), board), Duration::from_hours(1));
    }
    change(&sim, &changed);
    sim.set_latency(Duration::from_millis(4));
    let before = files(&place, &sim);
    sim.answer_only(40);
    let running = place.refresher(&sim.base_url(), &["incremental"]).spawn();
    // One or two requests a board.
    until("some were asked for", || sim.stats().distinct_boards >= 20);
    assert!(board_files(&place.staging()).is_empty(), "nothing is staged");
    let asked = sim.stats().distinct_boards;
    let _killed = running.kill();
    let arrived = rewritten(&before, &files(&place, &sim)).len() as u64;
    assert!(arrived + 4 >= asked && arrived > 0, "of {asked} that were asked for, {arrived} had arrived");

    // A hundred boards arrive, however long an export takes.
    sim.answer_only(0);
    let generation = || driver_index_and_generation(&place.cache()).1;
    let killed = generation();
    let running = place.refresher(&sim.base_url(), &["incremental"]).spawn();
    until("the index is exported at the start", || generation() != killed);
    let started = generation();
    sim.answer_only(250);
    until("the index is exported meanwhile", || generation() != started);
    sim.answer_all();
    let ended = running.wait().with_code(0);
    assert_eq!(ended.boards("changed"), 250 - arrived);
    // At first, after a hundred and two hundred changed ones as far as there are so many left, at last.
    let exports = ended.events_with(&["boards", "drivers", "entries", "changed"]).len() as u64;
    assert!((3..=2 + (250 - arrived) / 100).contains(&exports), "{exports} exports: {}", ended.stderr);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn a_budget_ends_it_in_order() {
    let (sim, place) = loaded(12, sized(900));
    sim.set_latency(Duration::from_millis(100));
    let ended = place.refresher(&sim.base_url(), &["incremental", "--budget", "1s"]).run().with_code(0);
    let [due, fetched, left] = ["due", "fetched", "not_reached"].map(|it| ended.boards(it));
    assert!(due == 144 && fetched >= 4 && left > 0 && fetched + left == due, "{due} {fetched} {left}");
    assert_eq!(ended.json()["outcome"], "done");
    sim.set_latency(Duration::ZERO);
    let rest = place.refresher(&sim.base_url(), &["incremental", "--limit", &left.to_string()]).run().with_code(0);
    assert_eq!(rest.boards("fetched"), left);
    assert_eq!(sim.stats().distinct_boards, 144, "what was left came first");
}

#[test]
fn a_board_that_cannot_be_fetched_stays() {
    let (sim, place) = loaded(6, sized(900));
    let victim = filled(&sim)[0];
    change(&sim, &[victim]);
    let before = files(&place, &sim);
    for kind in [FaultKind::Maintenance, FaultKind::TruncatedJson, FaultKind::InternalError] {
        sim.set_faults(Faults { always: [(victim, kind)].into(), ..Faults::default() }).unwrap();
        let refresher = place.refresher(&sim.base_url(), &["incremental"]).set("upstream.attempts", "2");
        let ended = refresher.run().with_code(3);
        assert_eq!((ended.boards("failed"), ended.boards("changed")), (1, 0), "{kind}");
        assert_eq!(files(&place, &sim)[&victim], before[&victim], "{kind}");
    }
}
