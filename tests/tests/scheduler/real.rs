//! The whole system with the real programs: a load at the start, refreshes requested by the trigger file, and what they leave.

use r3e_tests::harness::{
    Differences, Invocation, Place, assert_serves, board_files, driver_index, events, simulated, until,
};
use r3e_tests::sim::{SimOptions, Simulator};

use crate::place::{Logged, fds, logged, resources, scheduler, stopped, trigger, trigger_is_over};

/// A scheduler about to run on this service of 20 boards.
fn small() -> (Simulator, Place, Invocation) {
    let (sim, place) = simulated(4, 5, SimOptions { entries: 600, drivers: 200, ..SimOptions::default() });
    let scheduler = scheduler(&place)
        .set("catalog.path", "catalog.toml")
        .set("upstream.base_url", &sim.base_url())
        .set("upstream.requests_per_second", "100000");
    (sim, place, scheduler)
}

#[test]
fn a_load_and_refreshes_by_the_trigger_file() {
    let (sim, place, scheduler) = small();
    let running = scheduler.spawn();
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

/// The older program grew with each night, kept its connections, and exited before its closing lines.
#[test]
fn refreshes_leave_nothing_behind_and_the_verdict_on_them_is_flat() {
    let (sim, place, scheduler) = small();
    let running = scheduler.set("schedule.trigger_poll", "10ms").spawn();
    let mut first = None;
    for jobs in 1..=13 {
        if jobs > 1 {
            for board in sim.world().catalog().combinations().step_by(3) {
                sim.change_board(board).unwrap();
            }
            trigger(&place, "");
        }
        logged(&place, Logged::Done, jobs);
        until("all connections are closed", || sim.stats().connections_open == 0);
        let before = *first.get_or_insert_with(|| resources(&place, running.pid()));
        until("no more descriptors are open", || fds(running.pid()) <= before.fds);
        resources(&place, running.pid()).is_no_more_than(&before);
    }
    let verdict = Invocation::new("r3e-monitor", &place.path("")).arguments(&["--json", "verdict", "refresher"]);
    let judged = verdict.set("runtime.dir", &place.path("run").to_string_lossy()).run().with_code(0).json();
    let figures: Vec<_> =
        judged.as_array().unwrap().iter().map(|it| (it["figure"].clone(), it["verdict"].clone())).collect();
    assert_eq!(figures, ["peak", "resident", "allocated"].map(|figure| (figure.into(), "flat".into())), "{judged}");
    assert!(judged[0]["samples"].as_u64() >= Some(11), "{judged}");
    let _log = stopped(&place, running);
}

#[test]
fn all_closing_lines_are_logged_once_and_in_order() {
    let (sim, place, scheduler) = small();
    sim.answer_only(10);
    let running = scheduler.spawn();
    until("the loader waits for the service", || sim.stats().in_flight > 0);
    let log = stopped(&place, running);
    let lines = ["⏹️ Periodic indexing task exiting", "⏹️ Memory monitoring stopped", "📅 Scheduler task exiting"];
    let closing: Vec<_> = events(&log)
        .iter()
        .filter_map(|it| Some((it.job.clone(), *lines.iter().find(|line| it.names(line))?)))
        .collect();
    let of = |job: Option<&str>| closing.iter().filter(|it| it.0.as_deref() == job).map(|it| it.1).collect::<Vec<_>>();
    assert_eq!(of(Some("r3e-loader")), lines[..2], "{log}");
    assert_eq!(of(None), lines[1..], "{log}");
    assert_eq!(closing.last(), Some(&(None, lines[2])), "after those of its job: {log}");
}
