//! The scheduler does not accumulate anything: after a hundred jobs (some fail, hang or are killed) it uses what it used
//! after the second.

use std::fs;

use r3e_tests::harness::{Invocation, Place, until};

use crate::place::{Logged, logged, started, stopped, totals, trigger, with_told_jobs};

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Resources {
    anonymous_kb: u64,
    threads: u64,
    live: u64,
    tasks: u64,
    fds: usize,
    children: usize,
}

fn resources(place: &Place, pid: u32) -> Resources {
    let monitor = |arguments: &[&str]| {
        let monitor = Invocation::new("r3e-monitor", &place.path(""));
        monitor.set("runtime.dir", &place.path("run").to_string_lossy()).arguments(arguments).run().with_code(0).json()
    };
    monitor(&["--json", "purge", "scheduler"]);
    let stats = monitor(&["--json", "stats", "scheduler"])[0].clone();
    let threads = || figure(pid, "Threads");
    until("the threads of the purge have ended", || threads() <= 5);
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    Resources {
        anonymous_kb: figure(pid, "RssAnon"),
        threads: threads(),
        // What the caches of its threads hold is free, and bounded.
        live: stats["allocated_bytes"].as_u64().unwrap() - stats["thread_cache_bytes"].as_u64().unwrap(),
        tasks: stats["tasks"].as_u64().unwrap(),
        fds: fds(pid),
        children: children.split_whitespace().count(),
    }
}

fn fds(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn figure(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_hundred_jobs_leave_no_more_than_two() {
    let place = Place::new();
    let bad = ["1", "69", "killed", "75", "deaf", "74", "killed", "patient", "101"];
    let told: Vec<&str> = ["0", "0"].into_iter().chain(bad.into_iter().cycle().take(97)).chain(["0"]).collect();
    let jobs = with_told_jobs(&place, &told).set("schedule.attempts", "100").set("schedule.trigger_poll", "10ms");
    let running = jobs.set("schedule.job_timeout", "1s").set("runtime.stop_grace", "50ms").spawn();
    let pid = running.pid();
    logged(&place, Logged::Done, 1);
    trigger(&place, "1693");
    logged(&place, Logged::Done, 2);
    let second = resources(&place, pid);
    trigger(&place, "1693");
    logged(&place, Logged::Done, 3);
    assert_eq!(started(&place).len(), 100);
    // The connection of whoever asked is closed a moment later.
    until("no more descriptors are open", || fds(pid) <= second.fds);
    let hundredth = resources(&place, pid);
    println!("after the second job {second:?}, after the hundredth {hundredth:?}");
    let equal = |held: Resources| (held.threads, held.tasks, held.fds, held.children);
    assert_eq!(equal(hundredth), equal(second), "threads, tasks, descriptors, children");
    assert_eq!(hundredth.children, 0);
    // The allocator's own tables fill up page by page; a job's worth of anything would be more than these after 98 more.
    assert!(hundredth.live <= second.live + (32 << 10), "{second:?} {hundredth:?}");
    assert!(hundredth.anonymous_kb <= second.anonymous_kb + 128, "{second:?} {hundredth:?}");
    // It idles small: what answering the monitor needed is given back a few seconds later.
    until("it has less than 3 MB of its own again", || figure(pid, "RssAnon") < 3 << 10);
    let log = stopped(&place, running);
    assert_eq!(totals(&log), [100, 97], "{log}");
}
