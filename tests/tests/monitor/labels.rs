//! Metric labels have a fixed set of values: no job can create a new time series.

use std::collections::BTreeSet;

use r3e_tests::harness::{Invocation, Place, grid, until, zone_at_noon};
use r3e_tests::sim::{SimOptions, Simulator};

use crate::place::monitor;

#[test]
fn phases_are_words_of_a_fixed_set_and_what_varies_is_figures() {
    let catalog = grid(12, 10);
    let place = Place::with_catalog(&catalog);
    let sim = Simulator::start(SimOptions { catalog, entries: 2000, drivers: 300, ..SimOptions::default() }).unwrap();
    let zone = zone_at_noon();
    let scheduler = Invocation::new("r3e-scheduler", &place.path(""))
        .set("runtime.dir", &place.path("run").to_string_lossy())
        .set("schedule.time_zone", &zone)
        .set("upstream.base_url", &sim.base_url())
        .set("upstream.requests_per_second", "100")
        .set("catalog.path", "catalog.toml")
        .stderr_to(place.path("log"));
    // The load stands still until it has been seen.
    sim.answer_only(60);
    let running = scheduler.spawn();
    let (mut phases, mut attempts) = (BTreeSet::new(), BTreeSet::new());
    let mut last = serde_json::Value::Null;
    until("the load is over", || {
        let stats = monitor(&place, &["stats", "--json"]).run().with_code(0).json();
        for it in stats.as_array().unwrap().iter().filter(|it| it["state"] == "answers") {
            phases.insert((it["program"].as_str().unwrap().to_owned(), it["phase"].as_str().unwrap().to_owned()));
            if it["program"] == "r3e-scheduler" {
                attempts.insert(it["schedule"]["attempt"].as_u64());
                last = it.clone();
            }
        }
        if phases.contains(&("r3e-scheduler".to_owned(), "load".to_owned())) && attempts.contains(&Some(1)) {
            sim.answer_all();
        }
        last["phase"] == "waiting" && last["schedule"]["jobs_started"] == 1
    });
    running.signal("TERM");
    let _ended = running.wait().with_code(0);
    let known = |program: &str| -> &[&str] {
        match program {
            "r3e-scheduler" => &["starting", "waiting", "load", "refresh", "boards", "command", "stopping"],
            "r3e-loader" | "r3e-refresher" => {
                &["starting", "opening", "publishing", "fetching", "fetching ratings", "closing"]
            }
            program => panic!("no phases of {program} are known"),
        }
    };
    assert!(phases.iter().all(|(program, phase)| known(program).contains(&phase.as_str())), "{phases:?}");
    assert!(phases.contains(&("r3e-scheduler".to_owned(), "load".to_owned())), "{phases:?}");
    assert!(attempts.contains(&Some(1)) && last["schedule"]["attempt"].is_null(), "{attempts:?} {last}");
    // Four o'clock there.
    let behind: i8 = zone.strip_prefix("Etc/GMT").unwrap().parse().unwrap();
    let four = format!("T{:02}:00:00Z", (4 + behind).rem_euclid(24));
    assert!(last["schedule"]["next_run_at"].as_str().unwrap().ends_with(&four), "{four}: {last}");
    assert_eq!(last["schedule"]["jobs_failed"], 0);
}
