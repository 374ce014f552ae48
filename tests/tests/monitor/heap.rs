//! Heap profiles of a loader at work.

use std::fs;
use std::path::Path;
use std::time::Duration;

use r3e_tests::harness::{Invocation, Place, Running, command, program, simulated, until};
use r3e_tests::sim::{SimOptions, Simulator};
use serde_json::Value;

use crate::place::monitor;
use crate::pprof::Pprof;

/// Boards in flight: each has a compressor and the pieces that it has made.
const IN_FLIGHT: u64 = 96;

/// A service with boards of many pages.
fn service() -> (Simulator, Place) {
    simulated(16, 16, SimOptions { entries: 256 * 300, drivers: 5000, ..SimOptions::default() })
}

/// A loader that is about to run there and can be profiled like that, from an executable of its own.
fn loader(place: &Place, sim: &Simulator, profile: &str) -> Invocation {
    let loader = place.loader(&sim.base_url()).set("memory.profile", profile).set("upstream.page_size", "20");
    let executable = place.path("r3e-loader");
    // By another process: a file that this one has open for writing, and any program that it is just starting, cannot be executed.
    let copied =
        command(Path::new("cp"), &place.path("")).arg(program("r3e-loader")).arg(&executable).status().unwrap();
    assert!(copied.success());
    loader.set("upstream.concurrency", &IN_FLIGHT.to_string()).executable(executable)
}

/// Starts a loader, and waits until all its first boards wait for their next page.
fn in_the_middle(sim: &Simulator, loader: &Invocation) -> Running {
    sim.answer_only(IN_FLIGHT * 4);
    let mut running = loader.spawn();
    until("all wait", || {
        assert!(!running.has_ended());
        let stats = sim.stats();
        stats.in_flight == IN_FLIGHT && stats.requests > IN_FLIGHT * 4
    });
    running
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    monitor(place, arguments).argument("--json").run().with_code(0).json()
}

fn is_ours(name: &str) -> bool {
    name.contains("r3e_common::") || name.contains("r3e_loader::")
}

#[test]
fn a_profile_of_a_loader_at_work_names_its_functions_and_agrees_with_the_allocator() {
    let (sim, place) = service();
    let running = in_the_middle(&sim, &loader(&place, &sim, "on"));
    let pid = running.pid();
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/comm")).unwrap(), "r3e-loader\n", "it began anew as itself");
    // A newer build is put in its place while it runs.
    fs::write(place.path("newer"), "another program").unwrap();
    fs::rename(place.path("newer"), place.path("r3e-loader")).unwrap();

    let told = json(&place, &["heap", "loader", "-o", "a.pb.gz", "--flamegraph", "a.svg"]);
    let figure = |key: &str| told[key].as_i64().unwrap_or_else(|| panic!("{key} in {told}"));
    let (inuse, live, error) = (figure("inuse_bytes"), figure("live_bytes"), figure("standard_error_bytes"));
    println!("held {inuse} ± {error} by {} samples, the allocator counts {live}", figure("sampled_objects"));
    // Beyond four standard errors lies one profile in 16,000. A small object that is sampled gets a place of 16 KB, which
    // the allocator counts; and half a megabyte is what it counts of its own.
    let bound = 4 * error + figure("sampled_objects") * (16 << 10) + (512 << 10);
    assert!(inuse.abs_diff(live) <= bound.unsigned_abs(), "{told}");
    assert!(live > 10 << 20 && error < live / 4, "too little to show anything: {told}");

    let profile = Pprof::read(&place.path("a.pb.gz"));
    let types = [("inuse_objects", "count"), ("inuse_space", "bytes")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!((&profile.types[..], profile.default_type.as_str()), (&types[..], "inuse_space"));
    assert_eq!((profile.period, profile.sum("inuse_space", |_, _| true)), (512 << 10, inuse));
    assert_eq!(profile.sum("inuse_objects", |_, _| true), figure("inuse_objects"));
    assert!(profile.time_ns > 1_700_000_000_000_000_000, "{}", profile.time_ns);
    assert!(profile.mappings[0].0.contains("/r3e-loader"), "{:?}", profile.mappings);
    // Nearly all that it holds it holds for boards in flight, and its own functions stand on the way to it.
    let ours = profile.sum("inuse_space", |name, _| is_ours(name));
    assert!(ours > inuse / 10 * 9, "{ours} of {inuse}");
    // Their files too. Which of them depends on what is inlined, but each board in flight is a worker's.
    let of_workers = profile.sum("inuse_space", |name, file| is_ours(name) && file.contains("/common/src/job/"));
    assert!(of_workers > inuse / 2, "{of_workers} of {inuse}: {:?}", profile.samples);
    for (_, way) in &profile.samples {
        assert!(!way.first().is_some_and(|(name, _)| name.contains("jemalloc")), "{way:?}");
    }
    let svg = fs::read_to_string(place.path("a.svg")).unwrap();
    assert!(svg.contains("<svg") && svg.contains("r3e_common::"), "{svg}");

    let table = monitor(&place, &["heap", &pid.to_string(), "--top", "3"]).run().with_code(0).stdout;
    assert!(table.contains("FUNCTION") && table.contains("more"), "{table}");
    // By now it holds the same, of which none is new.
    json(&place, &["heap", "loader", "-o", "b.pb.gz"]);
    let growth =
        json(&place, &["heap", "--diff", "a.pb.gz", "b.pb.gz", "-o", "growth.pb.gz", "--flamegraph", "growth.svg"]);
    assert!(growth["grown_bytes"].as_i64().unwrap().abs() < 2 << 20, "{growth}");
    let saved = Pprof::read(&place.path("growth.pb.gz"));
    assert_eq!(saved.sum("inuse_space", |_, _| true), growth["grown_bytes"]);
    drop(running.kill());
}

#[test]
fn a_profile_opens_in_go_tool_pprof() {
    let Some(go) = r3e_needs::program("go") else { return };
    let (sim, place) = service();
    let running = in_the_middle(&sim, &loader(&place, &sim, "on"));
    json(&place, &["heap", "loader", "-o", "a.pb.gz"]);
    drop(running.kill());
    let mut pprof = command(&go, &place.path(""));
    let output = pprof.args(["tool", "pprof", "-top", "a.pb.gz"]).env("HOME", place.path("")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("Type: inuse_space") && text.contains("r3e_"), "{output:?}");
}

#[test]
fn profiling_can_be_switched_on_and_off_while_a_program_runs() {
    let (sim, place) = service();
    sim.set_latency(Duration::from_millis(500));
    let running = loader(&place, &sim, "ready").spawn();
    until("its socket is there", || !json(&place, &["stats"]).as_array().unwrap().is_empty());
    let pid = running.pid().to_string();
    let nothing = monitor(&place, &["heap", "loader"]).run().with_code(1).stderr;
    assert!(nothing.contains(&format!("r3e-monitor profile on {pid}")), "{nothing}");
    let on = json(&place, &["profile", "on", &pid]);
    assert_eq!((&on["active"], &on["sample_bytes"]), (&true.into(), &(512 << 10).into()));
    // What was allocated before is not seen, and what is may be freed a moment later.
    until("something of ours was sampled", || {
        let seen = monitor(&place, &["heap", "loader", "--json"]).run();
        seen.code() == Some(0)
            && seen.json()["functions"].as_array().unwrap().iter().any(|it| is_ours(it["function"].as_str().unwrap()))
    });
    // It is at work as long as it is looked at.
    sim.answer_only(0);
    let off = monitor(&place, &["profile", "off", "loader"]).run().with_code(0).stdout;
    assert!(off.contains(&pid), "{off}");
    let anew = json(&place, &["profile", "on", "loader", "--reset"]);
    assert_eq!(anew["active"], true);
    drop(running.kill());
}

#[test]
fn without_profiling_the_error_names_the_setting() {
    let (sim, place) = service();
    sim.set_latency(Duration::from_mins(10));
    let running = place.loader(&sim.base_url()).spawn();
    until("its socket is there", || !json(&place, &["stats"]).as_array().unwrap().is_empty());
    for command in [&["heap", "loader"][..], &["profile", "on", "loader"], &["profile", "off", "loader"]] {
        let ended = monitor(&place, command).run().with_code(1);
        let pid = running.pid().to_string();
        let ended = ended.naming(&[&pid, "memory.profile", "R3E_MEMORY__PROFILE=on"]);
        assert_eq!(ended.stdout, "");
    }
    drop(running.kill());
}

#[test]
fn invalid_use_is_an_error() {
    let place = Place::new();
    fs::write(place.path("text"), "no profile").unwrap();
    let cases: [(&[&str], i32, &[&str]); 9] = [
        (&["heap"], 2, &["PROGRAM|PID"]),
        (&["heap", "loader"], 2, &["loader"]),
        (&["heap", "loader", "--diff", "a", "b"], 2, &["--diff"]),
        (&["heap", "--diff", "a"], 2, &["--diff", "2"]),
        (&["heap", "loader", "--top", "0"], 2, &["--top", "0"]),
        (&["heap", "--diff", "missing", "text"], 1, &["text", "gzip"]),
        (&["heap", "--diff", "missing", "nor"], 1, &["nor"]),
        (&["profile", "maybe", "loader"], 2, &["maybe"]),
        (&["profile", "on"], 2, &["PROGRAM|PID"]),
    ];
    for (given, code, parts) in cases {
        let ended = monitor(&place, given).run().with_code(code).naming(parts);
        assert_eq!(ended.stdout, "", "{given:?}");
    }
    let wrong = monitor(&place, &["list"]).set("memory.profile", "maybe").run().with_code(78);
    let _named = wrong.naming(&["memory.profile", "maybe", "ready"]);
}
