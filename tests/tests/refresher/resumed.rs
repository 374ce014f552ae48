//! A full refresh that was stopped or killed resumes where it was.

use std::fs;
use std::time::Duration;

use r3e_tests::harness::{Differences, Ended, Place, assert_serves, board_files, driver_index, read_status, until};
use r3e_tests::sim::Simulator;

use super::{age_all, change, filled, loaded, sized};

/// Whether it has resumed a full refresh.
fn has_resumed(ended: &Ended) -> bool {
    !ended.events_with(&["left", "of", "since"]).is_empty()
}

/// A service that answers slowly, with all boards in the cache an hour old, half of them changed.
fn world() -> (Simulator, Place) {
    let (sim, place) = loaded(12, sized(3000));
    age_all(&place, &sim);
    change(&sim, &filled(&sim).into_iter().step_by(2).collect::<Vec<_>>());
    sim.set_latency(Duration::from_millis(5));
    (sim, place)
}

/// Interrupts a full refresh when some of the boards were asked for; tells how many were.
fn interrupted(sim: &Simulator, place: &Place, signal: Option<&str>) -> u64 {
    sim.answer_only(72);
    let running = place.refresher(&sim.base_url(), &["full"]).spawn();
    // Some of the boards are asked for twice: see `upstream::LastPage`.
    until("some of the boards were asked for", || sim.stats().listing_requests >= 72);
    let ended = match signal {
        None => running.kill(),
        Some(name) => {
            running.signal(name);
            running.wait().with_code(143)
        }
    };
    assert!(!has_resumed(&ended));
    let asked = sim.stats().distinct_boards;
    assert!((36..144).contains(&asked), "{asked}");
    sim.answer_all();
    sim.reset_stats();
    asked
}

#[test]
fn after_a_stop_or_kill_it_fetches_only_the_rest() {
    for signal in [None, Some("TERM")] {
        let (sim, place) = world();
        let asked = interrupted(&sim, &place, signal);
        let began = read_status(&place.cache())["last_scrape_start"].clone();
        let ended = place.refresher(&sim.base_url(), &["full"]).run().with_code(0);
        assert!(has_resumed(&ended), "{}", ended.stderr);
        // Four were in flight, and had not arrived.
        let left = sim.stats().distinct_boards;
        assert!((144 - asked..=144 - asked + 4).contains(&left), "{signal:?}: {asked} were asked for, then {left}");
        assert_eq!(ended.boards("due"), left);
        assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
        assert!(board_files(&place.staging()).is_empty());
        let status = read_status(&place.cache());
        assert!(
            status["last_scrape_start"] != began
                && status["last_scrape_start"].as_str() < status["last_scrape_end"].as_str()
        );

        sim.set_latency(Duration::ZERO);
        let next = place.refresher(&sim.base_url(), &["full"]).run().with_code(0);
        assert_eq!(next.boards("due"), 144, "it was over");
    }
}

#[test]
fn another_job_in_between_does_not_end_it() {
    let (sim, place) = world();
    let asked = interrupted(&sim, &place, None);
    sim.set_latency(Duration::ZERO);
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    let oldest = place.refresher(&sim.base_url(), &["incremental", "--limit", "10"]).run().with_code(0);
    assert_eq!(oldest.boards("fetched"), 10);
    let ended = place.refresher(&sim.base_url(), &["full"]).run().with_code(0);
    assert!((144 - asked - 10..=144 - asked - 6).contains(&ended.boards("due")), "{} of {asked}", ended.boards("due"));
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn it_restarts_with_fresh_or_after_resume_within() {
    for (arguments, within) in [(&["full", "--fresh"][..], "12h"), (&["full"], "0s")] {
        let (sim, place) = world();
        interrupted(&sim, &place, None);
        sim.set_latency(Duration::ZERO);
        let refresher = place.refresher(&sim.base_url(), arguments).set("refresh.resume_within", within);
        let ended = refresher.run().with_code(0);
        assert_eq!((ended.boards("due"), ended.boards("fetched")), (144, 144), "{arguments:?} {within}");
        assert!(!has_resumed(&ended), "{}", ended.stderr);
        assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    }
}

#[test]
fn an_invalid_state_restarts_the_refresh() {
    let (sim, place) = loaded(6, sized(600));
    let state = place.staging().join(".staging.json");
    for text in ["", "{\"format\":1", r#"{"format":1,"full_refresh_since":"2999-01-01T00:00:00Z"}"#] {
        fs::write(&state, text).unwrap();
        let ended = place.refresher(&sim.base_url(), &["full"]).run().with_code(0);
        assert_eq!(ended.boards("fetched"), 36, "{text:?}");
    }
    fs::write(&state, r#"{"format":2,"what":"knows who"}"#).unwrap();
    let _ended = place.refresher(&sim.base_url(), &["full"]).run().with_code(78).naming(&["cache_temp", "format 2"]);
    assert_eq!(fs::read_to_string(&state).unwrap(), r#"{"format":2,"what":"knows who"}"#);
}
