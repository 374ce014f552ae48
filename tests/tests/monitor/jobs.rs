//! Asking jobs at work, and what they leave behind.

use std::fs;
use std::time::Duration;

use r3e_tests::harness::{Place, Running, grid, until};
use r3e_tests::sim::{SimOptions, Simulator};
use serde_json::Value;

use crate::place::monitor;

/// A service that has answered with a session and then answers no more, so that what a job holds stands still.
fn hanging() -> (Simulator, Place) {
    let catalog = grid(6, 6);
    let place = Place::with_catalog(&catalog);
    let options = SimOptions { catalog, entries: 2000, drivers: 300, ..SimOptions::default() };
    let sim = Simulator::start(options).unwrap();
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    sim.set_latency(Duration::from_mins(10));
    sim.reset_stats();
    (sim, place)
}

fn asked(place: &Place, arguments: &[&str]) -> Value {
    monitor(place, &["--json"]).arguments(arguments).run().with_code(0).json()
}

fn one(place: &Place, arguments: &[&str]) -> Value {
    asked(place, arguments)[0].clone()
}

/// A figure of `/proc/{pid}/{file}`, as it stands there.
fn kernel(pid: u32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Checks each figure that the kernel has too.
#[track_caller]
fn agrees_with_the_kernel(stats: &Value, pid: u32) {
    // The process keeps working between the two readings.
    let tolerance = |known: u64| (known / 50).max(256 << 10);
    for (key, name) in [("rss_bytes", "VmRSS:"), ("rss_anon_bytes", "RssAnon:"), ("peak_rss_bytes", "VmHWM:")] {
        let (told, known) = (stats[key].as_u64().unwrap(), kernel(pid, "status", name) * 1024);
        assert!(told.abs_diff(known) <= tolerance(known), "{key}: {told}, and {known} by the kernel");
    }
    // Its share of the pages of its program depends on how many processes of that program other tests are running.
    let [least, most] = ["RssAnon:", "VmRSS:"].map(|it| kernel(pid, "status", it) * 1024);
    let pss = stats["pss_bytes"].as_u64().unwrap();
    assert!((least - tolerance(least)..=most + tolerance(most)).contains(&pss), "{pss}: not from {least} to {most}");
    assert_eq!(stats["threads"], kernel(pid, "status", "Threads:"));
}

fn at_work(sim: &Simulator, running: &mut Running) {
    until("it waits for the service", || {
        assert!(!running.has_ended());
        sim.stats().in_flight > 0
    });
}

#[test]
fn running_jobs_are_shown() {
    let (sim, place) = hanging();
    for (program, invocation, phase) in [
        ("r3e-loader", place.loader(&sim.base_url()).set("cache.max_age", "0s"), "fetching"),
        ("r3e-refresher", place.refresher(&sim.base_url(), &["full"]).set("memory.limit_mb", "500"), "fetching"),
    ] {
        sim.reset_stats();
        let mut running = invocation.spawn();
        at_work(&sim, &mut running);
        let pid = running.pid();
        let stats = one(&place, &["stats", program]);
        assert_eq!((&stats["pid"], &stats["phase"]), (&pid.into(), &phase.into()), "{stats}");
        assert_eq!((&stats["progress"]["total"], &stats["progress"]["fetched"]), (&36.into(), &0.into()));
        agrees_with_the_kernel(&stats, pid);
        let limit = if program == "r3e-refresher" { Value::from(500 << 20) } else { Value::Null };
        assert_eq!(stats["limit_bytes"], limit);
        assert_eq!(stats["connections"], sim.stats().connections_open);
        assert!(stats["tasks"].as_u64().unwrap() >= 4 && stats["purges"].as_u64().unwrap() >= 1, "{stats}");

        let tasks = asked(&place, &["tasks", &pid.to_string()]);
        for name in ["fetching boards", "periodic indexing", "purging memory", "showing progress"] {
            let found = tasks.as_array().unwrap().iter().find(|task| task["name"] == name);
            let found = found.unwrap_or_else(|| panic!("{name} in {tasks}"));
            assert!(found["age_s"].as_f64().unwrap() > 0.0 && found["place"].as_str().unwrap().contains(".rs:"));
        }
        let connections = asked(&place, &["connections", program]);
        let to_service = |it: &&Value| it["remote"] == sim.addr().to_string() && it["state"] == "established";
        let count = connections.as_array().unwrap().iter().filter(to_service).count() as u64;
        assert_eq!(count, sim.stats().connections_open, "{connections}");

        // A purge leaves nothing that the allocator holds free.
        let purged = one(&place, &["purge", program]);
        let figure = |key: &str| purged["after"][key].as_u64().unwrap();
        let free = figure("resident_bytes").saturating_sub(figure("active_bytes") + figure("metadata_bytes"));
        assert!(free <= 1 << 20, "{free} bytes are held free: {purged}");
        assert_eq!(figure("purges"), purged["before"]["purges"].as_u64().unwrap() + 1);

        running.signal("TERM");
        let _ended = running.wait().with_code(143);
        until("the service has seen it go", || sim.stats().connections_open == 0);
    }
    assert_eq!(asked(&place, &["list"]), Value::Array(Vec::new()), "their sockets are gone with them");
}

#[test]
fn a_job_leaves_a_record_of_its_cost_and_outcome() {
    let (sim, place) = hanging();
    let running = place.refresher(&sim.base_url(), &["full"]).spawn();
    until("it waits for the service", || sim.stats().in_flight > 0);
    let _second = place.loader(&sim.base_url()).run().with_code(75).naming(&[running.pid().to_string()]);
    running.signal("TERM");
    let _ended = running.wait().with_code(143);
    sim.set_latency(Duration::ZERO);
    let done = place.refresher(&sim.base_url(), &["incremental", "--limit", "5"]).run().with_code(0);

    let runs = asked(&place, &["runs"]);
    let told: Vec<_> = runs
        .as_array()
        .unwrap()
        .iter()
        .map(|run| (run["program"].as_str().unwrap(), run["exit_code"].as_u64().unwrap()))
        .collect();
    let mut sorted = told.clone();
    sorted.sort_unstable();
    let loader = "r3e-loader";
    assert_eq!(sorted, [(loader, 0), (loader, 75), ("r3e-refresher", 0), ("r3e-refresher", 143)], "{runs}");
    let slice = runs.as_array().unwrap().iter().find(|run| run["doing"] == "refreshing the oldest boards").unwrap();
    assert_eq!((&slice["outcome"], &slice["boards"]["fetched"]), (&"done".into(), &5.into()));
    let peak = done.json()["memory"]["peak_rss_bytes"].as_u64().unwrap();
    let left = slice["peak_rss_bytes"].as_u64().unwrap();
    assert!(left >= peak && left - peak <= peak / 10, "{left} {peak}");
}
