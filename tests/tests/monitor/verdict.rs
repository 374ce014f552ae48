//! Leak or noise, on processes that really leak and on clean ones: by the function, measured as the watch does it; and by the
//! watch itself and `verdict`.

use std::path::Path;

use r3e_common::runtime::control::Stats;
use r3e_monitor::verdict::{Figure, Figures, Moment, Verdict, WARM_UP, judge};
use r3e_tests::harness::{Leaky, Place, until};
use r3e_tests::leaky::Kind;
use r3e_tests::leaky::trial::{Background, Trial};
use rusqlite::Connection;
use serde_json::Value;

use crate::place::{count, history, log, logged, monitor};

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

/// Ten trials of a kind, the backgrounds in turn. The benchmark `verdict` has a hundred of each and the rates that are
/// promised; nine of ten are what a rate of 95 of 100 gives here.
fn finds(kind: Kind, per_cycle: usize, figure: Figure) {
    let place = Place::new();
    let mut missed = Vec::new();
    for seed in 0..10 {
        let background = Background::ALL[usize::try_from(seed).unwrap() % 6];
        let trial = Trial { kind, per_cycle, background, seed };
        if !leaks(&trial, &place).contains(&figure) {
            missed.push(trial);
        }
    }
    assert!(missed.len() <= 2, "{missed:?}");
}

#[test]
fn leaks_of_bytes_are_found() {
    finds(Kind::Bytes, 16 << 10, Figure::Allocated);
}

#[test]
fn leaks_of_tasks_are_found() {
    finds(Kind::Tasks, 1, Figure::Tasks);
}

#[test]
fn leaks_of_descriptors_are_found() {
    finds(Kind::Descriptors, 1, Figure::Descriptors);
}

#[test]
fn leaks_of_connections_are_found() {
    finds(Kind::Connections, 1, Figure::Connections);
}

#[test]
fn leaks_of_threads_are_found() {
    finds(Kind::Threads, 1, Figure::Threads);
}

/// None of 21 trials: a rate of one in 1,000 would fail this once in fifty runs. Of 11,000 clean trials of the benchmark, 8,000
/// of them on a loaded machine, none was called a leak; 6,000 of them had no part in the choice of the thresholds. With a
/// certainty of 95 of 100 that is less than one in 2,000, and so this fails by chance in one run of 95 at most.
#[test]
fn clean_processes_do_not_leak() {
    let place = Place::new();
    for seed in 0..21 {
        let background = Background::ALL[usize::try_from(seed).unwrap() % Background::ALL.len()];
        let trial = Trial { kind: Kind::None, per_cycle: 0, background, seed };
        assert_eq!(leaks(&trial, &place), [], "{trial:?}");
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
fn the_watch_warns_of_a_leak_and_the_verdict_tells_it() {
    let place = Place::new();
    let watch = logged(monitor(&place, &["watch"]).set("monitor.every", "10s").set("memory.purge_every", "40ms"));
    until("it is at work", || log(&place).contains("watching"));
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
    let warned = format!("pid={} figure=\"tasks\"", leaking.pid());
    until("the watch warns", || log(&place).contains("a leak:"));
    let found = asked(&leaking).run().with_code(1);
    let stderr = found.stderr.clone();
    assert!(stderr.contains(&format!("leaks: r3e-leaky ({}): tasks", leaking.pid())), "{stderr}");
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
    let said = log(&place);
    let warnings: Vec<&str> = said.lines().filter(|line| line.contains("a leak:")).collect();
    assert!(warnings.iter().all(|line| line.contains("WARN")), "{warnings:?}");
    assert_eq!(warnings.iter().filter(|line| line.contains(&warned)).count(), 1, "once: {said}");
    assert!(warnings.iter().all(|line| !line.contains(&clean.pid().to_string())), "{warnings:?}");
}

#[test]
fn where_nothing_is_known_that_is_said() {
    let place = Place::new();
    let none = monitor(&place, &["verdict"]).run().with_code(0).stdout;
    assert!(none.contains("no samples of the last 1day") && none.contains("r3e-monitor watch"), "{none}");
    assert_eq!(
        monitor(&place, &["verdict", "--json", "--since", "2h"]).run().with_code(0).json(),
        serde_json::json!([])
    );
    let unknown = monitor(&place, &["verdict", "loder"]).run().with_code(2).stderr;
    assert!(unknown.contains("no samples of loder in the last 1day"), "{unknown}");
    let wrong = monitor(&place, &["verdict", "--since", "2"]).run().with_code(2).stderr;
    assert!(wrong.contains("--since") && wrong.contains("a duration with its unit"), "{wrong}");
}
