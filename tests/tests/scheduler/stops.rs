//! One, two or three stop signals at any moment: the scheduler stops in time, cleanly, and leaves nothing behind.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use r3e_tests::harness::{Place, events, events_with, until};

use crate::place::{
    Logged, ended, job_said, log, nothing_left, started, stopped, trigger, was_forced, with_told_jobs, working_in,
};

/// How many at a time: enough to keep both cores of a small machine busy.
const AT_A_TIME: u32 = 4;

/// A program has some hundred milliseconds to spare where it stops within its bounds. Where the machine stood still for longer,
/// nothing can be said of it.
const STALL: Duration = Duration::from_millis(200);

/// So often is a stop tried again after a stall.
const TRIES: u32 = 20;

#[test]
fn it_purges_periodically_with_the_log_line_of_the_older_program() {
    let place = Place::new();
    let running = with_told_jobs(&place, &[]).set("memory.purge_every", "20ms").spawn();
    until("it has purged", || log(&place).matches("💾 Periodic GC: Alloc=").count() >= 3);
    let log = stopped(&place, running);
    assert_eq!(log.matches("⏹️ Memory monitoring stopped").count(), 1, "{log}");
}

#[test]
fn it_stops_in_order_whatever_its_job_does() {
    for told in ["0", "69", "patient", "deaf"] {
        for signal in ["TERM", "INT"] {
            let place = Place::new();
            // After 69 it waits for the next try.
            let jobs =
                with_told_jobs(&place, &[told]).set("schedule.backoff_min", "1h").set("schedule.backoff_max", "1h");
            let running = jobs.set("runtime.stop_grace", "500ms").spawn();
            until("the job is at work", || started(&place).len() == 1);
            if ["0", "69"].contains(&told) {
                until("the job is over", || working_in(&place.path("")) == [running.pid()]);
            }
            running.signal(signal);
            ended(&place, running);
            assert_eq!(started(&place).len(), 1, "{told}, {signal}");
        }
    }
}

#[test]
#[ignore = "takes minutes"]
fn five_hundred_stops_at_random_moments() {
    stops(500);
}

/// Stops so many schedulers, each at a moment that its number decides.
fn stops(count: u32) {
    let next = AtomicU32::new(0);
    let early = AtomicU32::new(0);
    let (stalls, over) = (AtomicU32::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| watch_for_stalls(&stalls, &over));
        let stop = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                let stopped = (0..TRIES).find_map(|_| stop_once(u64::from(number), &stalls));
                let Some(was_early) = stopped else { panic!("the machine stalls all the time") };
                early.fetch_add(u32::from(was_early), Ordering::Relaxed);
            }
        };
        let all: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(stop)).collect();
        let ended: Vec<_> = all.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok), "the panics are told above");
    });
    let early = early.into_inner();
    println!("{early} of {count} were stopped before they listened to signals");
    assert!(early < count / 4, "{early}");
}

/// Counts how often a short sleep was far too long.
fn watch_for_stalls(stalls: &AtomicU32, over: &AtomicBool) {
    let short = Duration::from_millis(10);
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        std::thread::sleep(short);
        if begun.elapsed() > short + STALL {
            stalls.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether a process has a handler for SIGTERM.
fn listens(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
    u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << (15 - 1)) != 0
}

/// Stops one, by chance; says whether it was too early for it to know of signals. None where it was ended by its watchdog
/// while the machine stood still.
fn stop_once(seed: u64, stalls: &AtomicU32) -> Option<bool> {
    let stalled = stalls.load(Ordering::Relaxed);
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::in_memory(&r3e_tests::harness::grid(2, 2));
    let kinds = ["0", "69", "killed", "deaf", "patient", "patient"];
    let told: Vec<&str> = (0..20).map(|_| *random.choice(&kinds).unwrap()).collect();
    if random.bool() {
        trigger(&place, if random.bool() { "" } else { "101" });
    }
    let jobs = with_told_jobs(&place, &told).set("schedule.trigger_poll", "20ms").set("runtime.stop_grace", "200ms");
    let jobs = jobs.set("schedule.job_timeout", if random.bool() { "60ms" } else { "10s" });
    let mut running = jobs.spawn();
    if !seed.is_multiple_of(8) {
        // Most have to be stopped at work, or this tests little.
        until("it listens to signals", || listens(running.pid()) || running.has_ended());
    }
    // A moment that nothing tells: that is what is tried here.
    std::thread::sleep(Duration::from_micros(random.u64(0..145_000)));
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
        assert!(Logged::Started.events(&place).is_empty(), "seed {seed}: {log}");
        return Some(true);
    }
    if was_forced(&log) && stalls.load(Ordering::Relaxed) > stalled {
        return None;
    }
    assert_eq!(ended.code(), Some(0), "seed {seed}: {log}");
    // Its own watchdog ends it 0.8 s after `stop_grace`, and says so: in none of these it had to.
    let (_, after) = log.split_once("📅 Scheduler task exiting").unwrap_or_else(|| panic!("seed {seed}: {log}"));
    // That a signal came is told by the thread that waits for signals, which may be late.
    assert!(after.lines().skip(1).all(|line| line.contains("r3e_common::runtime::shutdown")), "seed {seed}: {log}");
    assert!(!was_forced(&log), "seed {seed}: {log}");
    assert!(!log.contains("panicked"), "seed {seed}: {log}");
    let sockets = fs::read_dir(place.path("run")).into_iter().flatten().count();
    assert!(sockets <= 1, "seed {seed}: only the folder of records is left");
    Some(false)
}

#[test]
fn a_second_signal_kills_the_job_at_once() {
    let place = Place::new();
    let jobs = with_told_jobs(&place, &["deaf"]).set("runtime.stop_grace", "1h");
    let running = jobs.spawn();
    job_said(&place, 1);
    running.signal("TERM");
    let signals = || events_with(&log(&place), &["signal", "grace"]).len();
    until("the first is logged", || signals() == 1);
    running.signal("INT");
    let _ended = running.wait().with_code(0);
    assert_eq!(signals(), 2, "{}", log(&place));
    assert!(events(&log(&place)).iter().any(|it| it.names("📅 Scheduler task exiting")), "{}", log(&place));
    nothing_left(&place);
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let place = Place::new();
    let log = place.path("log");
    nix::unistd::mkfifo(&log, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // A reader that opens it and reads nothing, so that the pipe is soon full.
    let reader = std::thread::spawn({
        let log = log.clone();
        move || fs::File::open(log).unwrap()
    });
    let jobs = with_told_jobs(&place, &["talkative", "0"]).set("schedule.trigger_poll", "10ms");
    let running = jobs.spawn();
    let reader = reader.join().unwrap();
    until("the loader has run", || started(&place).len() == 1);
    // It goes on: what is triggered is started.
    trigger(&place, "1693");
    until("the refresher has run", || started(&place).len() == 2);
    running.signal("TERM");
    let _ended = running.wait().with_code(0);
    drop(reader);
    nothing_left(&place);
}
