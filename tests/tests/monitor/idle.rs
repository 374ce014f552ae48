//! The memory of idle daemons: `RssAnon`, which excludes pages of the executable, since the kernel can drop those.

use std::fs;

use r3e_tests::harness::{Invocation, Place, until, zone_at_noon};

use crate::http::Server;
use crate::place::{busy_watch, history, leave_record, logged, monitor, purges, stopped, waiting};

/// What it holds of its own, in KB.
fn rss_anon_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[track_caller]
fn settles_below(what: &str, pid: u32, most_mb: u64) {
    // It may be at work in just this moment, and gives back what that took.
    until(&format!("{what} has less than {most_mb} MB of its own"), || rss_anon_kb(pid) < most_mb << 10);
    println!("{what}: RssAnon {} KB", rss_anon_kb(pid));
}

#[test]
fn a_waiting_scheduler_has_less_than_3_mb() {
    let place = Place::new();
    let scheduler = Invocation::new("r3e-scheduler", &place.path(""))
        .set("runtime.dir", &place.path("run").to_string_lossy())
        .set("schedule.load_at_start", "false")
        .set("schedule.time_zone", &zone_at_noon());
    let running = logged(scheduler);
    let asked = || monitor(&place, &["stats", "scheduler", "--json"]).run();
    until("it answers", || asked().code() == Some(0));
    settles_below("the scheduler", running.pid(), 3);
    let stats = &asked().with_code(0).json()[0];
    let told = stats["rss_anon_bytes"].as_u64().unwrap();
    assert!(told > 0 && told < stats["rss_bytes"].as_u64().unwrap(), "{stats}");
    stopped(running);
}

#[test]
fn a_watch_has_less_than_4_mb_after_a_while() {
    let place = Place::new();
    for number in 1..=200 {
        leave_record(&place, number);
    }
    let running = logged(busy_watch(&place));
    until("it has worked for a while", || waiting(&place) == 0 && purges(&place) > 50);
    settles_below("the watch", running.pid(), 4);
    stopped(running);
}

#[test]
fn a_server_that_was_asked_for_everything_holds_less_than_5_mb() {
    let place = Place::new();
    let watch = busy_watch(&place).stderr_to(place.path("watch-log")).spawn();
    let purges = || fs::read_to_string(place.path("watch-log")).unwrap_or_default().matches("💾").count();
    until("there is a history", || history(&place).exists() && purges() > 50);
    let server = Server::start(&place);
    for path in ["/", "/monitor", "/metrics", "/api/now", "/api/work", "/api/past?since=7d", "/api/verdicts"] {
        assert_eq!(server.get_when_ready(path).status, 200, "{path}");
    }
    settles_below("the server", server.running.pid(), 5);
    server.stop();
    stopped(watch);
}
