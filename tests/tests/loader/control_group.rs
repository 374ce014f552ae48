//! A job and a daemon in the same control group: under pressure, the job backs off and the daemon keeps running.

use std::fs;
use std::time::Duration;

use r3e_tests::harness::{
    Ballast, ControlGroup, Invocation, Place, board_files, events_at, events_with, grid, program_beside, until,
};
use r3e_tests::sim::{SimOptions, Simulator};

const LIMIT_BYTES: u64 = 256 << 20;

fn within(group: &ControlGroup, program: Invocation) -> Invocation {
    program.started_by(&program_beside("r3e-in-group"), &[&group.processes().to_string_lossy()])
}

#[test]
fn the_smaller_of_the_configured_limit_and_the_groups_counts() {
    let Some(group) = ControlGroup::with_limit(LIMIT_BYTES) else { return };
    let place = Place::with_catalog(&grid(2, 2));
    let in_force = |limit_mb: &str| {
        let loader = place.loader("http://127.0.0.1:9").argument("--cached-only").set("memory.limit_mb", limit_mb);
        let ended = within(&group, loader).run().with_code(0);
        ended.events_with(&["limit_mb", "limit"])[0].field("limit").as_str().unwrap().to_owned()
    };
    let of_group = format!("{} = 268435456 (256 MB)", group.limit_file().display());
    assert!(in_force("500").contains(&of_group), "{}", in_force("500"));
    let configured = in_force("255");
    assert!(configured.contains("memory.limit_mb = 255 (R3E_MEMORY__LIMIT_MB)"), "{configured}");
}

#[test]
fn when_a_group_is_full_a_job_stops_and_a_daemon_stays() {
    let Some(group) = ControlGroup::with_limit(LIMIT_BYTES) else { return };
    let catalog = grid(12, 12);
    let latency = Duration::from_millis(5);
    let options =
        SimOptions { catalog: catalog.clone(), entries: 3000, drivers: 500, latency, ..SimOptions::default() };
    let (sim, place) = (Simulator::start(options).unwrap(), Place::with_catalog(&catalog));
    let log = place.path("watch.log");
    let run_dir = place.path("run").to_string_lossy().into_owned();
    let watch = Invocation::new("r3e-monitor", &place.path("")).argument("watch").set("log.format", "json");
    let watch = watch.set("runtime.dir", &run_dir);
    let mut watch = within(&group, watch.stderr_to(log.clone())).spawn();
    let watch_log = || fs::read_to_string(&log).unwrap();
    until("the watch keeps to the group's limit", || !events_with(&watch_log(), &["limit_mb", "limit"]).is_empty());
    let mut ballast = Ballast::start(&group, &place.path(""));

    // Fetching, while others take what is left: an orderly stop.
    sim.answer_only(72);
    let mut loader = within(&group, place.loader(&sim.base_url())).spawn();
    until("boards have come", || board_files(&place.staging()).len() > 20);
    ballast.fill_to(96);
    until("the job has stopped, though it gives memory back first", || {
        ballast.top_up_to(96);
        loader.has_ended()
    });
    let ended = loader.wait().with_code(75);
    assert_eq!(ended.json()["outcome"], "memory_limit");
    let near = ended.events_with(&["used_mb", "limit", "percent"]);
    assert!(near.iter().any(|it| it.level == "WARN" && it.has(&["boards"])), "fewer boards in flight: {near:?}");
    let stopped = near.iter().find(|it| it.level == "ERROR").unwrap();
    assert!(stopped.names(&group.limit_file().to_string_lossy()), "{stopped:?}");
    let left = board_files(&place.staging()).len();
    assert!(left > 20, "{left} boards are left in staging");

    // Beginning, where others have left too little: later it would do.
    sim.answer_all();
    ballast.fill_to(85);
    let ended = within(&group, place.loader(&sim.base_url())).run().with_code(75);
    let ended = ended.naming(&[group.limit_file().to_string_lossy()]);
    assert_eq!(ended.stdout, "", "no boards were asked for");

    until("the watch has purged", || !events_with(&watch_log(), &["used_mb", "limit", "percent"]).is_empty());
    assert!(!watch.has_ended(), "{}", watch_log());
    drop(ballast);
    let ended = within(&group, place.loader(&sim.base_url())).run().with_code(0);
    assert_eq!(ended.boards("cached"), 144);
    watch.signal("TERM");
    let _ended = watch.wait().with_code(0);
    assert!(events_at(&watch_log(), "ERROR").is_empty(), "{}", watch_log());
}
