//! Leak or noise, on processes that really leak and on clean ones: by the function, measured as the watch does it; and by the
//! watch itself and `verdict`.

use std::path::Path;

use r3e_common::runtime::control::Stats;
use r3e_monitor::verdict::{Figure, Figures, Moment, Verdict, WARM_UP, judge};
use r3e_tests::harness::{Event, Leaky, Place, events_with, until};
use r3e_tests::leaky::Kind;
use r3e_tests::leaky::trial::{Background, Trial};
use rusqlite::Connection;
use serde_json::Value;

use crate::place::{count, history, is_watching, log, logged, monitor};

const PROGRAM: &str = env!("CARGO_BIN_EXE_r3e-leaky");

/// Cycles after the warm-up.
const JUDGED: usize = 40;

/// The figures that are called a leak at any moment of a trial.
fn leaks(trial: &Trial, place: &Place) -> Vec<Figure> {
    let series = trial.run(Path::new(PROGRAM), &place.path("run"), WARM_UP + JUDGED).unwrap();
    let moment =
        |(at_ms, stats): &(i64, Stats)| Moment { at_ms: *at_ms, figures: Figures::new(&stats.figures, stats.tasks) };
    let moments: Vec<Moment> = series.iter().map(moment).collect();
    let leaks = |figure: &Figure| {
        let points: Vec<_> = moments.iter().map(|it| it.point(*figure)).collect();
        (WARM_UP..=points.len()).any(|end| judge(*figure, &points[..end], 0).verdict == Verdict::Leak)
    };
    Figure::ALL.into_iter().filter(leaks).collect()
}

/// With nothing else going on; the benchmark `verdict` has hundreds of trials, with all backgrounds and the rates that are promised.
#[test]
fn each_kind_of_leak_is_found_and_a_clean_process_has_none() {
    let place = Place::new();
    for (kind, per_cycle, found) in [
        (Kind::Bytes, 16 << 10, Some(Figure::Allocated)),
        (Kind::Tasks, 1, Some(Figure::Tasks)),
        (Kind::Descriptors, 1, Some(Figure::Descriptors)),
        (Kind::Connections, 1, Some(Figure::Connections)),
        (Kind::Threads, 1, Some(Figure::Threads)),
        (Kind::None, 0, None),
    ] {
        let leaks = leaks(&Trial { kind, per_cycle, background: Background::Quiet, seed: 0 }, &place);
        assert!(found.map_or(leaks.is_empty(), |it| leaks.contains(&it)), "{kind:?}: {leaks:?}");
    }
}

/// Has the process do cycles until the watch has purged it so often.
fn watched(place: &Place, leaky: &mut Leaky, purges: i64) {
    let sql = format!(
        "SELECT count(*) FROM samples JOIN processes ON id = process WHERE after_purge = 1 AND pid = {}",
        leaky.pid()
    );
    let seen = || if history(place).exists() { count(&Connection::open(history(place)).unwrap(), &sql) } else { 0 };
    let (mut done, before) = (0, seen());
    until("it was purged often enough", || {
        let purges_now = seen();
        // A cycle for each purge, so that the leak has the rate that it was given.
        while before + done <= purges_now {
            leaky.cycle().unwrap();
            done += 1;
        }
        purges_now >= purges
    });
}

fn of(verdicts: &Value, leaky: &Leaky, figure: &str) -> Value {
    let found = verdicts.as_array().unwrap().iter().find(|it| it["pid"] == leaky.pid() && it["figure"] == figure);
    found.unwrap_or_else(|| panic!("{figure} in {verdicts}")).clone()
}

#[test]
fn the_watch_warns_of_a_leak_and_the_verdict_reports_it() {
    let place = Place::new();
    let watch = logged(monitor(&place, &["watch"]).set("monitor.every", "10s").set("memory.purge_every", "40ms"));
    until("it is at work", || is_watching(&place));
    let start = |words: &[&str]| {
        let arguments: Vec<String> = words.iter().map(ToString::to_string).collect();
        Leaky::start(Path::new(PROGRAM), &place.path("run"), &arguments).unwrap()
    };
    let mut clean = start(&["--wander", "262144"]);
    let mut leaking = start(&["--leak", "tasks"]);
    let asked = |which: &Leaky| monitor(&place, &["verdict", "--json", &which.pid().to_string()]);

    watched(&place, &mut leaking, 10);
    let early = asked(&leaking).run().with_code(0).json();
    assert_eq!(early.as_array().unwrap().len(), 6);
    assert_eq!(of(&early, &leaking, "tasks")["verdict"], "too few samples");

    watched(&place, &mut leaking, 80);
    watched(&place, &mut clean, 80);
    let warnings = || {
        let found = events_with(&log(&place), &["program", "pid", "figure", "samples"]);
        found.into_iter().filter(|it| it.level == "WARN").collect::<Vec<_>>()
    };
    until("the watch warns", || !warnings().is_empty());
    let found = asked(&leaking).run().with_code(1);
    let found = found.naming(&["r3e-leaky", &leaking.pid().to_string(), "tasks"]);
    let tasks = of(&found.json(), &leaking, "tasks");
    assert_eq!(tasks["verdict"], "leak");
    let grown = |key: &str| tasks["per_cycle"][key].as_f64().unwrap();
    assert!(grown("low") <= grown("likely") && grown("likely") <= grown("high"), "{tasks}");
    assert!(grown("low") > 0.5 && grown("high") < 1.5, "one in each cycle: {tasks}");
    assert_eq!(of(&found.json(), &leaking, "connections")["verdict"], "flat");

    let clean_json = asked(&clean).run().with_code(0).json();
    for figure in ["tasks", "descriptors", "connections", "threads"] {
        let it = of(&clean_json, &clean, figure);
        assert_eq!(it["verdict"], "flat", "{it}");
        assert!(it["per_hour"]["visible"].as_f64().unwrap() > 0.0, "{it}");
    }
    let table = monitor(&place, &["verdict"]).run().with_code(1).stdout;
    for part in ["PROGRAM", "VISIBLE FROM", "r3e-leaky", "r3e-monitor", "leak", "flat"] {
        assert!(table.contains(part), "{part} in {table}");
    }

    watch.signal("TERM");
    let _ended = watch.wait().with_code(0);
    let warnings = warnings();
    let of_tasks = |it: &&Event| *it.field("pid") == leaking.pid() && *it.field("figure") == "tasks";
    assert_eq!(warnings.iter().filter(of_tasks).count(), 1, "once: {warnings:?}");
    assert!(warnings.iter().all(|it| *it.field("pid") != clean.pid()), "{warnings:?}");
}

#[test]
fn without_samples_the_verdict_says_so() {
    let place = Place::new();
    let none = monitor(&place, &["verdict"]).run().with_code(0).stdout;
    assert!(none.contains("1day") && none.contains("r3e-monitor watch"), "{none}");
    assert_eq!(
        monitor(&place, &["verdict", "--json", "--since", "2h"]).run().with_code(0).json(),
        serde_json::json!([])
    );
    let _unknown = monitor(&place, &["verdict", "loder"]).run().with_code(2).naming(&["loder", "1day"]);
    let _wrong = monitor(&place, &["verdict", "--since", "2"]).run().with_code(2).naming(&["--since"]);
}
