//! The life of a watch, from start to stop.

use std::fs;

use r3e_tests::harness::{Place, events, events_at, until};

use crate::place::{
    busy_watch, history, is_watching, leave_record, log, logged, monitor, purges, runs, sound_history, waiting,
};

#[test]
fn a_stopped_watch_logs_it_and_exits_0() {
    for signal in ["TERM", "INT"] {
        let place = Place::new();
        let running = logged(busy_watch(&place).set("monitor.every", "100ms").set("memory.purge_every", "100ms"));
        until("it purges", || purges(&place) > 0);
        running.signal(signal);
        let ended = running.wait().with_code(0);
        let said = log(&place);
        assert!(events(&said).last().unwrap().names("⏹️ Memory monitoring stopped"), "{said}");
        assert!(events_at(&said, "ERROR").is_empty() && events_at(&said, "WARN").is_empty(), "{said}");
        assert_eq!(ended.stdout, "");
        assert!(sound_history(&place).is_empty());
        assert!(!history(&place).with_file_name("monitor.db-wal").exists(), "it is closed in order");
    }
}

#[test]
fn a_second_watch_of_the_same_history_is_refused() {
    let place = Place::new();
    let first = logged(busy_watch(&place));
    until("it is at work", || is_watching(&place));
    let _second = monitor(&place, &["watch"]).run().with_code(75).naming(&["monitor.db"]);
    assert_eq!(first.kill().code(), None);
    fs::remove_file(place.path("log")).unwrap();
    let third = logged(busy_watch(&place));
    until("the next is at work", || is_watching(&place));
    third.signal("TERM");
    let _ended = third.wait().with_code(0);
}

#[test]
fn runs_are_shown_before_and_after_a_watch_imports_them() {
    let place = Place::new();
    let none = monitor(&place, &["runs"]).run().with_code(0);
    assert!(!none.stdout.contains("PROGRAM"), "{}", none.stdout);
    for number in 1..=30 {
        leave_record(&place, number);
    }
    let shown = |arguments: &[&str]| {
        let runs = monitor(&place, arguments).run().with_code(0).json();
        // The watch leaves a record of itself too.
        let loaders = runs.as_array().unwrap().iter().filter(|it| it["program"] == "r3e-loader");
        loaders.map(|it| it["peak_rss_bytes"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let before = shown(&["runs", "--json", "--last", "100"]);
    assert_eq!(before.len(), 30);
    assert_eq!(shown(&["runs", "--json"]).len(), 20);
    assert!(!history(&place).exists(), "reading makes no history");

    // One that is no record is moved aside, and holds nothing up.
    fs::write(runs(&place).join("r3e-loader-9-9.json"), "{").unwrap();
    let running = logged(busy_watch(&place));
    until("all are taken in", || waiting(&place) == 1);
    let mut during = shown(&["--json", "runs", "--last", "100"]);
    running.signal("TERM");
    let _ended = running.wait().with_code(0);
    assert!(runs(&place).join("r3e-loader-9-9.damaged").exists());
    let warnings = events_at(&log(&place), "WARN");
    assert_eq!(warnings.iter().filter(|it| it.names("r3e-loader-9-9.json")).count(), 1, "{warnings:?}");
    let mut after = shown(&["runs", "--json", "--last", "100"]);
    during.sort_unstable();
    after.sort_unstable();
    let mut before = before;
    before.sort_unstable();
    assert!(before == during && during == after, "{before:?} {during:?} {after:?}");
    let table = monitor(&place, &["runs", "--last", "100"]).run().with_code(0).stdout;
    for part in ["ENDED", "PEAK", "r3e-loader", "1m30s", "done"] {
        assert!(table.contains(part), "{part} in {table}");
    }
}

#[test]
fn samples_older_than_monitor_keep_are_dropped() {
    let place = Place::new();
    for number in 1..=20 {
        leave_record(&place, number);
    }
    let running = busy_watch(&place).set("monitor.keep", "1h").spawn();
    until("all are taken in", || waiting(&place) == 0);
    until("old ones are gone", || sound_history(&place).is_empty());
    running.signal("TERM");
    let _ended = running.wait().with_code(0);
}

#[test]
fn a_watch_that_exceeds_its_limit_stops_with_75() {
    let place = Place::new();
    let ended = monitor(&place, &["watch", "--memory-limit-mb", "4"]).run().with_code(75);
    let _named = ended.naming(&["memory.limit_mb", "4", "--memory-limit-mb", "⏹️ Memory monitoring stopped"]);
    let runs = monitor(&place, &["runs", "--json"]).run().with_code(0).json();
    assert_eq!((&runs[0]["outcome"], &runs[0]["exit_code"]), (&"memory limit".into(), &75.into()));
    assert!(sound_history(&place).is_empty());
}
