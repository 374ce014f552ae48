//! Leak or noise, on processes that really leak and on clean ones: by the function, measured as the watch does it; and by the
//! watch itself and `verdict`. Likewise on the records of jobs.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use r3e_common::runtime::control::Stats;
use r3e_monitor::verdict::{Figure, Figures, Moment, Verdict, WARM_UP, judge};
use r3e_tests::harness::{Event, Invocation, Leaky, Place, events_with, paused, simulated, until, zone_at_noon};
use r3e_tests::leaky::Kind;
use r3e_tests::leaky::trial::{Background, Trial};
use r3e_tests::sim::SimOptions;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::http::Server;
use crate::place::{busy_watch, count, history, is_watching, log, logged, monitor, stopped, waiting};

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
    Figure::OF_PROCESSES.into_iter().filter(leaks).collect()
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
    // The watch must not purge between the last cycle and the verdict.
    let early = paused(watch.pid(), || asked(&leaking).run().with_code(0).json());
    assert_eq!(early.as_array().unwrap().len(), 6);
    assert_eq!(of(&early, &leaking, "tasks")["verdict"], "too few samples");

    watched(&place, &mut leaking, 80);
    watched(&place, &mut clean, 80);
    let warnings = || {
        let found = events_with(&log(&place), &["program", "pid", "figure", "samples"]);
        found.into_iter().filter(|it| it.level == "WARN").collect::<Vec<_>>()
    };
    until("the watch warns", || !warnings().is_empty());
    let found = paused(watch.pid(), || asked(&leaking).run().with_code(1));
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

/// Two and a half hours at default settings, if all periods are divided by 200: 45 seconds.
#[test]
fn daemons_have_their_verdict_within_two_and_a_half_hours() {
    let place = Place::new();
    let at_scale = |it: Invocation| it.set("memory.purge_every", "600ms").set("monitor.every", "50ms");
    let watch = logged(at_scale(monitor(&place, &["watch"])));
    until("it is at work", || is_watching(&place));
    let server = Server::start(&place);
    let scheduler = Invocation::new("r3e-scheduler", &place.path(""))
        .set("runtime.dir", &place.path("run").to_string_lossy())
        .set("schedule.load_at_start", "false")
        .set("schedule.time_zone", &zone_at_noon())
        .stderr_to(place.path("scheduler-log"));
    let scheduler = at_scale(scheduler).spawn();
    let words = ["--leak", "bytes", "--per-cycle", "16384"].map(str::to_owned);
    let mut leaking = Leaky::start(Path::new(PROGRAM), &place.path("run"), &words).unwrap();

    // 75 purges of 2 minutes.
    watched(&place, &mut leaking, 75);
    let verdicts = monitor(&place, &["verdict", "--json"]).run().with_code(1).json();
    for it in verdicts.as_array().unwrap() {
        let hour = &it["per_hour"];
        assert!(hour["likely"].is_f64() && hour["visible"].as_f64() > Some(0.0), "{it}");
        let is_leaking =
            it["pid"] == leaking.pid() && ["allocated", "resident"].iter().any(|name| it["figure"] == *name);
        assert!(is_leaking || it["verdict"] == "flat", "{it}");
    }
    assert_eq!(of(&verdicts, &leaking, "allocated")["verdict"], "leak");
    let daemons: Vec<_> = verdicts.as_array().unwrap().iter().filter(|it| it["figure"] == "allocated").collect();
    assert_eq!(daemons.len(), 4, "{daemons:?}");
    server.stop();
    stopped(scheduler);
    stopped(watch);
}

/// Rewrites the records: the n-th run ended n days later than the first, and `change` is made to it.
fn rewrite(place: &Place, change: impl Fn(u64, &mut Value)) {
    let mut paths: Vec<_> = fs::read_dir(place.path("run/runs")).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    for (path, night) in paths.iter().zip(0..) {
        let mut record: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let ended = SystemTime::now() - Duration::from_hours(24 * (60 - night));
        record["ended_at"] = humantime::format_rfc3339_millis(ended).to_string().into();
        record["pid"] = (1000 + night).into();
        change(night, &mut record);
        fs::write(path, record.to_string()).unwrap();
    }
}

#[test]
fn jobs_are_judged_by_their_last_runs() {
    let (sim, place) = simulated(8, 8, SimOptions { entries: 3000, drivers: 500, ..SimOptions::default() });
    let boards: Vec<_> = sim.world().catalog().combinations().collect();
    let night = |number: usize| {
        for board in boards.iter().skip(number).step_by(3) {
            sim.change_board(*board).unwrap();
        }
        let refresher = place.refresher(&sim.base_url(), &["full"]);
        let _ended = refresher.set("runtime.dir", &place.path("run").to_string_lossy()).run().with_code(0);
    };
    let asked = || monitor(&place, &["verdict", "--json", "refresher"]).run();
    let peak =
        |verdicts: &Value| verdicts.as_array().unwrap().iter().find(|it| it["figure"] == "peak").unwrap().clone();

    (0..7).for_each(night);
    assert_eq!(peak(&asked().with_code(0).json())["verdict"], "too few samples");
    night(7);
    rewrite(&place, |_, _| {});
    let clean = asked().with_code(0).json();
    assert_eq!(clean.as_array().unwrap().len(), 3, "{clean}");
    for it in clean.as_array().unwrap() {
        assert_eq!((&it["verdict"], &it["samples"], &it["pid"]), (&"flat".into(), &8.into(), &Value::Null), "{it}");
    }

    // Each night peaks 5 MB higher.
    rewrite(&place, |night, record| {
        let peak = record["peak_rss_bytes"].as_u64().unwrap();
        record["peak_rss_bytes"] = (peak + night * (5 << 20)).into();
    });
    let is_leak = || {
        let found = asked().with_code(1);
        let found = found.naming(&["r3e-refresher", "peak"]).json();
        assert_eq!((&peak(&found)["verdict"], &peak(&found)["samples"]), (&"leak".into(), &8.into()), "{found}");
        let grown = peak(&found)["per_cycle"]["likely"].as_f64().unwrap() / f64::from(1 << 20);
        assert!((3.5..6.5).contains(&grown), "{found}");
    };
    is_leak();
    // Neither do runs that did not do their work hide it, nor is it in the records alone.
    for (number, (code, fetched)) in [(137, 64), (69, 64), (0, 0), (0, 9)].into_iter().enumerate() {
        let record = json!({
            "program": "r3e-refresher", "pid": 2000 + number, "version": "0.1.0", "doing": clean[0]["doing"],
            "started_at": "2026-01-01T04:00:00Z", "ended_at": "2026-01-01T04:01:00Z", "seconds": 60.0, "outcome": "?",
            "exit_code": code, "peak_rss_bytes": 1 << 30, "rss_bytes": 1, "allocated_bytes": 1, "boards": {"fetched": fetched},
        });
        fs::write(place.path(&format!("run/runs/r3e-refresher-{number}-1.json")), record.to_string()).unwrap();
    }
    is_leak();
    let watch = logged(busy_watch(&place));
    until("the records are in the history", || waiting(&place) == 0);
    is_leak();
    let server = Server::start(&place);
    let verdicts = server.json("/api/verdicts");
    let job = verdicts.as_array().unwrap().iter().find(|it| it["program"] == "r3e-refresher").unwrap();
    assert_eq!((&job["verdict"], &job["doing"]), (&"leak".into(), &clean[0]["doing"]), "{job}");
    let table = monitor(&place, &["verdict"]).run().with_code(1).stdout;
    for part in ["DOING", "PER RUN", clean[0]["doing"].as_str().unwrap(), "PER HOUR", "r3e-monitor"] {
        assert!(table.contains(part), "{part} in {table}");
    }
    server.stop();
    stopped(watch);
}
