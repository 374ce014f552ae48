//! Heap profiles of a process at work: that nothing stands still while profiles are taken and the process allocates,
//! unwinds, begins threads and starts programs; what a profile costs; and that its total is what is held. Each test runs
//! in a process of its own, which is started as one that can be profiled.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::panic::catch_unwind;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use r3e_common::runtime::control::{Control, Facts};
use r3e_common::runtime::memory::profile::{Dump, ORIGIN_MARK, Origin, ProfileState, reset, set_active, state};
use r3e_common::runtime::memory::{figures, purge};

const MARK: &str = "R3E_TEST_PROFILED";

/// Runs that test in a process of its own with these settings of the allocator; says whether this is that process.
fn profiled(test: &str, settings: &str) -> bool {
    if std::env::var(MARK).is_ok_and(|it| it == test) {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(MARK, test)
        .env("_RJEM_MALLOC_CONF", settings)
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

fn ask(control: &Control, line: &str) -> String {
    let mut stream = UnixStream::connect(control.path()).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream.write_all(format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    body.to_owned()
}

fn control() -> (tempfile::TempDir, tokio::runtime::Runtime, Control) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let facts = Arc::new(Facts::new("r3e-test", SystemTime::UNIX_EPOCH, runtime.handle().clone(), None));
    let control = Control::open(&folder.path().join("run"), facts).unwrap();
    (folder, runtime, control)
}

/// Objects and bytes of the samples in a dump: its line for all threads.
fn sampled(dump: &str) -> (u64, u64) {
    let line = dump.lines().find_map(|line| line.trim().strip_prefix("t*: ")).unwrap();
    let (objects, rest) = line.split_once(": ").unwrap();
    (objects.parse().unwrap(), rest.split(' ').next().unwrap().parse().unwrap())
}

fn origin(dump: &str) -> Origin {
    serde_json::from_str(dump.lines().find_map(|line| line.strip_prefix(ORIGIN_MARK)).unwrap()).unwrap()
}

fn text(dump: &Dump) -> String {
    let mut bytes = vec![0; usize::try_from(dump.bytes()).unwrap()];
    dump.read_at(&mut bytes, 0).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// What a busy process does to its allocator, again and again: objects large and small, some of which outlive it, threads
/// that come and go, and panics, which unwind as the profiler does.
fn be_busy(stop: &AtomicBool, rounds: &AtomicU64) {
    let mut kept = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let round = rounds.fetch_add(1, Ordering::Relaxed);
        let mut held: Vec<Vec<u8>> = (0..64).map(|size| vec![1; 16 << (size % 14)]).collect();
        kept.push(held.swap_remove(7));
        kept.truncate(1000);
        if round.is_multiple_of(16) {
            let thread = std::thread::spawn(|| (0..100).map(|size| vec![0_u8; size * 100]).collect::<Vec<_>>().len());
            assert_eq!(thread.join().unwrap(), 100);
        }
        if round.is_multiple_of(8) {
            // Without the hook, which would print.
            assert!(catch_unwind(|| std::panic::resume_unwind(Box::new(round))).is_err());
        }
    }
}

/// This very program, with no test to run.
fn a_program_can_be_started() -> bool {
    Command::new("/proc/self/exe").args(["--exact", "none"]).output().unwrap().status.success()
}

struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Samples are taken 64 times as often as in earnest, so that the profiler is nearly always at work somewhere.
#[test]
fn nothing_stands_still_under_load() {
    if !profiled("nothing_stands_still_under_load", "prof:true,lg_prof_sample:13,narenas:2,background_thread:true") {
        return;
    }
    let (_folder, _runtime, control) = control();
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        // Also where this fails: a scope waits for its threads.
        let _stop = StopAtTheEnd(&stop);
        for _ in 0..4 {
            scope.spawn(|| be_busy(&stop, &rounds));
        }
        for round in 0..100_u32 {
            let before = rounds.load(Ordering::Relaxed);
            // After a reset, or after it was off for a round, all that was sampled may be freed by now: there is more soon.
            let begun = Instant::now();
            loop {
                let dump = ask(&control, "GET /heap");
                assert!(dump.starts_with("heap_v2/8192\n"), "{dump}");
                if sampled(&dump).0 > 0 || !origin(&dump).active {
                    break;
                }
                assert!(begun.elapsed() < Duration::from_mins(1), "{dump}");
            }
            match round % 5 {
                0 => assert!(a_program_can_be_started()),
                1 => drop(purge().unwrap()),
                2 => drop(ask(&control, "POST /profile?active=false")),
                3 => drop(ask(&control, "POST /profile?active=true")),
                _ => drop(ask(&control, "POST /profile?active=true&reset=true")),
            }
            while rounds.load(Ordering::Relaxed) < before + 8 {
                std::thread::yield_now();
            }
        }
    });
}

/// Held in objects of one page: what a sample of each stands for is known without any further sum.
#[test]
fn it_can_be_switched_and_tells_what_is_held() {
    const SIZE: usize = 4096;
    const COUNT: usize = 20_000;
    if !profiled("it_can_be_switched_and_tells_what_is_held", "prof:true,prof_active:false,lg_prof_sample:19") {
        return;
    }
    let (_folder, _runtime, control) = control();
    let ready = ProfileState { available: true, active: false, sample_bytes: 512 << 10 };
    assert_eq!(state().unwrap(), ready);
    let fill = || (0..COUNT).map(|_| vec![1_u8; SIZE]).collect::<Vec<_>>();
    let before = fill();
    assert_eq!(sampled(&ask(&control, "GET /heap")), (0, 0));
    let on: ProfileState = serde_json::from_str(&ask(&control, "POST /profile?active=true")).unwrap();
    assert_eq!(on, ProfileState { active: true, ..ready });

    let during = fill();
    let dump = ask(&control, "GET /heap");
    // In the mean one in 128.5; with that many, 5 deviations are 40 %.
    let (objects, bytes) = sampled(&dump);
    assert!((94..=218).contains(&objects), "{objects} objects are sampled of {COUNT}");
    assert!(bytes >= objects * SIZE as u64 && bytes < objects * SIZE as u64 * 3 / 2, "{bytes} bytes in {objects}");
    let origin = origin(&dump);
    assert_eq!((origin.program.as_str(), origin.pid, origin.active), ("r3e-test", std::process::id(), true));
    let held = (before.len() + during.len()) * SIZE;
    assert!(origin.allocated_bytes - origin.thread_cache_bytes > held as u64, "{origin:?}");
    let own = std::env::current_exe().unwrap();
    assert!(origin.build_ids.is_empty() || origin.build_ids.contains_key(own.to_str().unwrap()), "{origin:?}");
    assert!(dump.contains("MAPPED_LIBRARIES:\n") && dump.contains(own.to_str().unwrap()), "{dump}");

    set_active(false).unwrap();
    let _after = fill();
    // What was allocated for answers may have been sampled: before, and be free by now, or since. What comes would be some 150 more.
    let now = sampled(&ask(&control, "GET /heap")).0;
    assert!((objects - 3..=objects + 3).contains(&now), "what comes is not seen: {now} objects, {objects} before");
    drop(during);
    assert!(sampled(&ask(&control, "GET /heap")).0 < objects / 4, "what was freed is gone, also while it is off");
    reset().unwrap();
    assert_eq!(sampled(&ask(&control, "GET /heap")).0, 0);
}

/// One of two functions that call each other: each returns to a place of its own, so that each number has its own way.
#[inline(never)]
fn left(way: u32, depth: u32, held: &mut Vec<Vec<u8>>) {
    step(way, depth, held);
    std::hint::black_box(0);
}

/// The other one.
#[inline(never)]
fn right(way: u32, depth: u32, held: &mut Vec<Vec<u8>>) {
    step(way, depth, held);
    std::hint::black_box(1);
}

/// Takes the next turn of a way, and holds something at its end.
fn step(way: u32, depth: u32, held: &mut Vec<Vec<u8>>) {
    if depth == 0 {
        return held.extend((0..4).map(|_| vec![0; 4000]));
    }
    if way & 1 == 0 { left(way >> 1, depth - 1, held) } else { right(way >> 1, depth - 1, held) }
}

/// With thousands of different ways to what is held, a profile is megabytes long; the process does not hold it.
#[test]
fn taking_one_costs_the_process_less_than_a_megabyte() {
    if !profiled("taking_one_costs_the_process_less_than_a_megabyte", "prof:true,lg_prof_sample:12,narenas:2") {
        return;
    }
    let (_folder, _runtime, control) = control();
    let mut held = Vec::new();
    for way in 0..1 << 12 {
        step(way, 12, &mut held);
    }
    // The first one brings in the code for it.
    let long = text(&Dump::take("r3e-test", "1", 0).unwrap()).len();
    // What has connected is answered within seconds.
    let mut stream = UnixStream::connect(control.path()).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let before = purge().unwrap().after;
    stream.write_all(b"GET /heap HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let (mut piece, mut most, mut read) = (vec![0; 16 << 10], 0, 0);
    loop {
        let bytes = stream.read(&mut piece).unwrap();
        if bytes == 0 {
            break;
        }
        read += bytes;
        most = most.max(figures().unwrap().rss_bytes);
    }
    let cost = most.saturating_sub(before.rss_bytes);
    assert!(read >= long && long > 1 << 20, "{read} bytes, {long}: too short to show anything");
    assert!(cost < 1 << 20, "{cost} bytes more than {} while {read} are given out", before.rss_bytes);
    drop(held);
}
