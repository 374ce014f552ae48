//! A signal stops a job promptly and cleanly, and no fetched board is lost.

use std::fs::{self, File};
use std::time::Duration;

use nix::sys::signal::Signal;
use r3e_tests::harness::{
    Differences, Ended, Place, Running, assert_serves, board_files, driver_index, read_status, simulated, until,
};
use r3e_tests::sim::{SimOptions, Simulator};

/// With which code the program ends after which signal.
const SIGNALS: [(&str, i32); 3] = [("TERM", 143), ("INT", 130), ("HUP", 143)];

fn world(latency: Duration) -> (Simulator, Place) {
    simulated(12, 12, SimOptions { entries: 4000, drivers: 3500, latency, ..SimOptions::default() })
}

/// Whether it was ended before it had stopped: by a second signal, or at the end of its time.
fn was_forced(ended: &Ended) -> bool {
    ended.events_with(&["signal"]).iter().any(|it| it.level == "ERROR")
}

fn stopped(running: Running, name: &str, code: i32) -> Ended {
    running.signal(name);
    let ended = running.wait().with_code(code).naming(&[format!("SIG{name}")]);
    assert!(!was_forced(&ended), "by itself, within stop_grace: {}", ended.stderr);
    ended
}

#[test]
fn a_stopped_run_is_resumed() {
    for (name, code) in SIGNALS {
        let (sim, place) = world(Duration::from_millis(5));
        sim.answer_only(72);
        let running = place.loader(&sim.base_url()).spawn();
        // Some of the boards are asked for twice: see `upstream::LastPage`.
        until("some of the boards were asked for", || sim.stats().listing_requests >= 72);
        let ended = stopped(running, name, code);
        assert_eq!((&ended.json()["outcome"], &ended.json()["exit_code"]), (&"stopped".into(), &code.into()));

        let staged = board_files(&place.staging());
        assert!(staged.len() >= 32 && staged.len() < 144, "{} boards are kept in staging", staged.len());
        assert_eq!(ended.boards("fetched"), staged.len() as u64);
        let status = read_status(&place.cache());
        assert_eq!(status["fetch_in_progress"], false);
        assert_eq!(status["last_scrape_end"], "0001-01-01T00:00:00Z", "it has not come to its end");

        sim.answer_all();
        let next = place.loader(&sim.base_url()).run().with_code(0);
        assert_eq!(next.boards("left_by_interrupted_run"), staged.len() as u64);
        let both = sim.stats();
        // Four boards were in flight, with a request or two each.
        assert_eq!(both.distinct_boards, 144);
        assert!(both.listing_requests - both.further_page_requests <= 144 + 4, "{both:?}");
        assert_eq!(both.page_requests, 2, "each of the two runs has a session");
        assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    }
}

#[test]
fn a_hanging_service_ends_the_run_soon() {
    for (name, code) in SIGNALS {
        let (sim, place) = world(Duration::from_mins(10));
        // Once while the session is asked for, once while boards are.
        for boards in [false, true] {
            sim.reset_stats();
            sim.set_latency(if boards { Duration::ZERO } else { Duration::from_mins(10) });
            sim.answer_only(0);
            let running = place.loader(&sim.base_url()).set("upstream.timeout", "20m").spawn();
            until("it asks", || sim.stats().requests > 0);
            if boards {
                until("all places are taken", || sim.stats().in_flight == 4);
            }
            let _ended = stopped(running, name, code);
            assert_eq!(read_status(&place.cache())["fetch_in_progress"], false);
            until("its connections are gone", || sim.stats().connections_open == 0);
        }
    }
}

/// A loader that waits for a lock which is not given, and while it does looks at no signal: that of `status.json`, for
/// which it has seconds of patience. The lock is to be held.
fn stuck(place: &Place, sim: &Simulator, grace: &str) -> (Running, File) {
    fs::create_dir_all(place.cache()).unwrap();
    let lock = File::create(place.cache().join(".status.lock")).unwrap();
    lock.lock().unwrap();
    let running = place.loader(&sim.base_url()).set("runtime.stop_grace", grace).spawn();
    until("it is at work", || fs::exists(place.staging().join(".writer.lock")).unwrap());
    (running, lock)
}

#[test]
fn a_job_under_nohup_outlives_its_terminal() {
    let (sim, place) = world(Duration::from_millis(5));
    sim.answer_only(72);
    let nohup = place.loader(&sim.base_url()).ignoring(&[Signal::SIGHUP, Signal::SIGINT]);
    let running = nohup.spawn();
    until("half of the boards were asked for", || sim.stats().listing_requests >= 72);
    for ignored in ["HUP", "INT", "HUP"] {
        running.signal(ignored);
    }
    sim.answer_all();
    let ended = running.wait().with_code(0);
    assert!(!ended.stderr.contains("SIG"), "{}", ended.stderr);
    assert_eq!(ended.boards("fetched"), 144);
}

#[test]
fn a_stuck_job_ends_at_the_second_signal() {
    // SIGHUP counts once, however often it comes: the kernel and the shell both send it.
    for (name, code) in [("TERM", 143), ("INT", 130)] {
        let (sim, place) = world(Duration::ZERO);
        let (mut running, _lock) = stuck(&place, &sim, "1h");
        // Signals that come together may be seen as one: so they are sent until it is gone.
        until("it has ended", || {
            let ended = running.has_ended();
            if !ended {
                running.signal(name);
            }
            ended
        });
        let ended = running.wait().with_code(code);
        assert!(was_forced(&ended), "{}", ended.stderr);
    }
}

#[test]
fn a_stuck_job_ends_after_stop_grace() {
    let (sim, place) = world(Duration::ZERO);
    let (running, _lock) = stuck(&place, &sim, "50ms");
    running.signal("TERM");
    let ended = running.wait().with_code(143);
    assert!(was_forced(&ended), "{}", ended.stderr);
}
