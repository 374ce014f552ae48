//! Stopped at any moment, once, twice or three times: it ends in time, in order, and leaves nothing behind.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use r3e_tests::harness::Place;

use crate::place::{log, nothing_left, trigger, with_told_jobs};

const STOPS: u32 = 500;

/// How many at a time: enough to keep both cores of a small machine busy.
const AT_A_TIME: u32 = 4;

#[test]
fn five_hundred_stops_at_random_moments() {
    let next = AtomicU32::new(0);
    let early = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= STOPS {
                        return;
                    }
                    early.fetch_add(u32::from(stop_once(u64::from(number))), Ordering::Relaxed);
                }
            });
        }
    });
    // Most have to be stopped at work, or this tests little.
    let early = early.into_inner();
    println!("{early} of {STOPS} were stopped before they listened to signals");
    assert!(early < STOPS / 4, "{early}");
}

/// Stops one, by chance; says whether it was too early for it to know of signals.
fn stop_once(seed: u64) -> bool {
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::in_memory(&r3e_tests::harness::grid(2, 2));
    let kinds = ["0", "69", "killed", "deaf", "patient", "patient"];
    let told: Vec<&str> = (0..20).map(|_| *random.choice(&kinds).unwrap()).collect();
    if random.bool() {
        trigger(&place, if random.bool() { "" } else { "101" });
    }
    let jobs = with_told_jobs(&place, &told).set("schedule.trigger_poll", "20ms").set("runtime.stop_grace", "200ms");
    let jobs = jobs.set("schedule.job_timeout", if random.bool() { "60ms" } else { "10s" });
    let running = jobs.spawn();
    // A moment that nothing tells: that is what is tried here.
    std::thread::sleep(Duration::from_micros(random.u64(15_000..160_000)));
    let signals: Vec<&str> = (0..random.u8(1..=2)).map(|_| *random.choice(&["TERM", "INT"]).unwrap()).collect();
    for signal in &signals {
        running.signal(signal);
        if random.bool() {
            std::thread::yield_now();
        }
    }
    let ended = running.wait();
    let log = log(&place);
    nothing_left(&place);
    if ended.status.signal().is_some() {
        // By the signal itself: it had not begun.
        assert!(!log.contains("starting a"), "seed {seed}: {log}");
        return true;
    }
    assert_eq!(ended.code(), Some(0), "seed {seed}: {log}");
    // Its own watchdog ends it 0.8 s after `stop_grace`, and says so: in none of these it had to.
    let (_, after) = log.split_once("📅 Scheduler task exiting\n").unwrap_or_else(|| panic!("seed {seed}: {log}"));
    // That a signal came is told by the thread that waits for signals, which may be late.
    assert!(after.lines().all(|line| line.contains("r3e_common::process::shutdown")), "seed {seed}: {log}");
    assert!(!log.contains("ending at once"), "seed {seed}: {log}");
    assert!(!log.contains("panicked"), "seed {seed}: {log}");
    let sockets = fs::read_dir(place.path("run")).into_iter().flatten().count();
    assert!(sockets <= 1, "seed {seed}: only the folder of records is left");
    false
}

#[test]
fn a_second_signal_is_haste_and_a_log_that_nobody_reads_holds_nothing_up() {
    let place = Place::new();
    let jobs = with_told_jobs(&place, &["deaf"]).set("runtime.stop_grace", "1h");
    let running = jobs.spawn();
    crate::place::logged(&place, "a word of number 1", 1);
    running.signal("TERM");
    crate::place::logged(&place, "stopping", 1);
    running.signal("INT");
    let _ended = running.wait().with_code(0);
    let said = log(&place);
    assert!(said.contains("hurrying") && said.contains("SIGKILL"), "{said}");
    assert!(said.ends_with("📅 Scheduler task exiting\n"), "{said}");
    nothing_left(&place);
}
