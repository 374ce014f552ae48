//! Asking programs that run: here a watch, which is asked as every other is.

use std::fs;
use std::path::Path;

use r3e_tests::harness::{Place, Running, events_with, paused, until};
use rusqlite::Connection;
use serde_json::Value;

use crate::place::{busy_watch, count, history, is_watching, log, logged, monitor, purges, stopped};

/// A watch that does little, at work.
fn quiet_watch(place: &Place) -> Running {
    let running = logged(monitor(place, &["watch"]));
    // It says so a moment before it begins; with its first sample it has opened all that it needs.
    let sampled = || {
        history(place).exists() && count(&Connection::open(history(place)).unwrap(), "SELECT count(*) FROM samples") > 0
    };
    until("it is at work", || is_watching(place) && sampled());
    running
}

#[track_caller]
fn json(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let result = monitor(place, &["--json"]);
    let result = arguments.iter().fold(result, |it, &argument| it.argument(argument)).run().with_code(0).json();
    result.as_array().unwrap().clone()
}

/// A figure of `/proc/{pid}/status`, in bytes.
fn kernel(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_running_program_is_listed_with_figures_of_the_kernel() {
    let place = Place::new();
    let running = quiet_watch(&place);
    let pid = running.pid().to_string();
    let [listed] = json(&place, &["list"]).try_into().unwrap();
    assert_eq!((&listed["program"], &listed["pid"]), (&"r3e-monitor".into(), &running.pid().into()));
    assert_eq!((&listed["state"], &listed["phase"]), (&"answers".into(), &"watching".into()));
    for named in [&[][..], &["monitor"], &["r3e-monitor"], &[&pid], &["monitor", &pid]] {
        let names = [("rss_bytes", "VmRSS"), ("peak_rss_bytes", "VmHWM")];
        let before = names.map(|(_, name)| kernel(running.pid(), name));
        let [stats] = json(&place, &[&["stats"], named].concat()).try_into().unwrap();
        for ((key, name), before) in names.into_iter().zip(before) {
            // The process works between the readings.
            let (told, after) = (stats[key].as_u64().unwrap(), kernel(running.pid(), name));
            let (least, most) = (before.min(after), before.max(after));
            let known = least - least / 50..=most + most / 50;
            assert!(known.contains(&told), "{key}: {told}, and {known:?} by the kernel");
        }
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64;
        // The one that asks is one.
        let told = stats["open_fds"].as_u64().unwrap();
        assert!(told.abs_diff(fds) <= 3, "{told} descriptors, and {fds} by the kernel");
        assert!(stats["allocated_bytes"].as_u64().unwrap() > 0 && stats["limit_bytes"].is_null(), "{stats}");
    }
    let table = monitor(&place, &["stats"]).run().with_code(0).stdout;
    assert!(table.starts_with("PROGRAM") && table.contains(&pid) && table.contains(" MB"), "{table}");
    stopped(running);
    assert_eq!(json(&place, &["list"]), Vec::<Value>::new(), "its socket is gone with it");
}

#[test]
fn a_purge_is_done_and_reported() {
    let place = Place::new();
    let running = quiet_watch(&place);
    for times in 1..=2 {
        let [purged] = json(&place, &["purge", "monitor"]).try_into().unwrap();
        assert_eq!(purged["after"]["purges"], times);
        assert_eq!(purged["before"]["pid"], running.pid());
        let bytes = |when: &str| purged[when]["rss_bytes"].as_i64().unwrap();
        assert_eq!(purged["given_back_bytes"], bytes("before") - bytes("after"));
        assert!(purged["took_ms"].as_f64().unwrap() > 0.0);
    }
    let table = monitor(&place, &["purge"]).run().with_code(0).stdout;
    assert!(table.contains("RSS BEFORE") && table.contains("r3e-monitor"), "{table}");
    stopped(running);
}

#[test]
fn tasks_descriptors_and_connections_of_a_program_are_shown() {
    let place = Place::new();
    let running = quiet_watch(&place);
    let pid = running.pid().to_string();
    // It tells that it watches a moment before it begins.
    until("its tasks are at work", || json(&place, &["tasks", &pid]).len() == 2);
    let tasks = json(&place, &["tasks", &pid]);
    let names: Vec<_> = tasks.iter().map(|task| task["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(tasks[0]["place"].as_str().unwrap().contains("watch.rs:"), "{tasks:?}");
    let socket = place.path("run").join(format!("r3e-monitor-{pid}.sock"));
    for named in ["monitor", &pid] {
        let connections = json(&place, &["connections", named]);
        let listening = |it: &&Value| it["state"] == "listening" && it["local"] == socket.to_str().unwrap();
        assert_eq!(connections.iter().filter(listening).count(), 1, "{connections:?}");
        let fds = monitor(&place, &["fds", named]).run().with_code(0).stdout;
        for part in ["monitor.db", "socket", "unix", "listening", "eventpoll"] {
            assert!(fds.contains(part), "{part} in {fds}");
        }
        let fds = monitor(&place, &["fds", named, "--json"]).run().with_code(0).json();
        assert_eq!((&fds["more"], &fds["fds"][0]["fd"]), (&0.into(), &0.into()));
    }
    stopped(running);
}

#[test]
fn a_stuck_program_is_never_shown_as_healthy() {
    let place = Place::new();
    let running = quiet_watch(&place);
    let pid = running.pid().to_string();
    paused(running.pid(), || {
        let [stats] = json(&place, &["stats"]).try_into().unwrap();
        assert_eq!(stats["state"], "not answering");
        assert!(stats["why"].as_str().unwrap().contains("2s"), "{stats}");
        assert!(stats.get("rss_bytes").is_none());
        let list = monitor(&place, &["list"]).run().with_code(0).stdout;
        assert!(list.contains("not answering") && !list.contains("answers"), "{list}");
        for command in [["purge", "monitor"], ["tasks", "monitor"]] {
            let _ended = monitor(&place, &command).run().with_code(1).naming(&[&pid, "r3e-monitor"]);
        }
        let fds = monitor(&place, &["fds", "monitor"]).run().with_code(0).stdout;
        assert!(fds.contains("monitor.db"), "the kernel still tells: {fds}");
    });
    until("it answers again", || json(&place, &["list"])[0]["state"] == "answers");
    stopped(running);
}

#[test]
fn a_socket_that_was_left_behind_is_shown_as_dead_and_means_no_program() {
    let place = Place::new();
    let running = quiet_watch(&place);
    let pid = running.pid().to_string();
    assert_eq!(running.kill().code(), None);
    let [listed] = json(&place, &["list"]).try_into().unwrap();
    assert_eq!((&listed["state"], &listed["pid"].to_string()), (&"dead socket".into(), &pid));
    assert_eq!(json(&place, &["stats"]), Vec::<Value>::new());
    assert_eq!(json(&place, &["purge"]), Vec::<Value>::new());
    for command in ["stats", "purge", "tasks", "fds", "connections"] {
        for name in ["monitor", &pid] {
            let _ended = monitor(&place, &[command, name]).run().with_code(2).naming(&[name]);
        }
    }
}

#[test]
fn stats_are_shown_again_and_again_until_stopped() {
    let place = Place::new();
    let running = quiet_watch(&place);
    let shown = || fs::read_to_string(place.path("shown")).unwrap_or_default();
    let watching =
        monitor(&place, &["stats", "--watch", "5ms", "--json", "monitor"]).stdout_to(place.path("shown")).spawn();
    until("it has shown them some times", || shown().lines().count() > 5);
    // A program that ends is no error, once it was there.
    stopped(running);
    until("nobody is there", || shown().ends_with("[]\n[]\n"));
    watching.signal("TERM");
    let _ended = watching.wait().with_code(0);
    for line in shown().lines() {
        let _whole: Vec<Value> = serde_json::from_str(line).unwrap();
    }
    let _unknown = monitor(&place, &["stats", "--watch", "5ms", "monitor"]).run().with_code(2);
}

#[test]
fn a_watch_records_memory_and_outcomes() {
    let place = Place::new();
    let first = logged(busy_watch(&place));
    let samples = |more: &str| {
        let sql = format!("SELECT count(*) FROM samples {more}");
        if Path::exists(&history(&place)) { count(&Connection::open(history(&place)).unwrap(), &sql) } else { 0 }
    };
    until("there is a history", || purges(&place) > 0);
    until("it has sampled", || samples("") > 20 && samples("WHERE after_purge = 1") > 1);
    let first_pid = first.pid();
    let all = json(&place, &["history", "--since", "1h"]);
    let sample = &all[0];
    assert_eq!((&sample["program"], &sample["pid"]), (&"r3e-monitor".into(), &first_pid.into()));
    assert!(sample["rss_bytes"].as_u64().unwrap() > 1 << 20 && sample["at"].as_str().unwrap().ends_with('Z'));
    assert!(all.iter().any(|it| it["after_purge"] == true), "those after a purge tell a leak");
    let table = monitor(&place, &["history"]).run().with_code(0).stdout;
    assert!(table.starts_with("FROM") && table.contains("r3e-monitor") && table.contains("watching"), "{table}");

    // One that is killed leaves no record; the next watch notes it.
    assert_eq!(first.kill().code(), None);
    fs::remove_file(place.path("log")).unwrap();
    let second = logged(busy_watch(&place));
    let second_pid = second.pid();
    until("the next has noted it", || !json(&place, &["runs"]).is_empty());
    until("the next is sampled", || json(&place, &["history"]).iter().any(|it| it["pid"] == second_pid));
    stopped(second);
    let runs = json(&place, &["runs"]);
    let shown: Vec<_> =
        runs.iter().map(|it| (it["pid"].clone(), it["outcome"].as_str().unwrap(), it["exit_code"].clone())).collect();
    assert_eq!(shown, [(first_pid.into(), "killed", Value::Null), (second_pid.into(), "done", 0.into())]);
    assert!(runs.iter().all(|it| it["peak_rss_bytes"].as_u64().unwrap() > 1 << 20), "{runs:?}");
    let noted = events_with(&log(&place), &["program", "pid", "peak_rss_bytes"]);
    assert_eq!(noted.len(), 1, "{}", log(&place));
}
