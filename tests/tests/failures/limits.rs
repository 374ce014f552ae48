//! Resource limits, as set by service managers, PAM and containers: under any limits, a program either works, or reports
//! which limit is too low, with a documented exit code.

use std::os::unix::fs::chown;

use nix::sys::resource::Resource;
use r3e_tests::harness::{Ended, Invocation, Place, until};

use super::cells::run_all;
use super::job::JOBS;
use super::permissions::two_users;
use super::world::{World, files};

/// A user that has no other process: `RLIMIT_NPROC` counts all of a user.
const ALONE: u32 = 54_321;

/// Programs that end by themselves, and daemons that are stopped once they have begun.
fn programs(world: &World, place: &Place) -> Vec<Invocation> {
    let mut all: Vec<_> = JOBS.iter().map(|job| job.at(place, &world.sim)).collect();
    all.push(place.loader(&world.sim.base_url()).argument("--cached-only"));
    for arguments in [&["check"][..], &["next"]] {
        all.push(Invocation::new("r3e-scheduler", &place.path("")).arguments(arguments));
    }
    for arguments in [&["list"][..], &["stats"], &["runs"]] {
        all.push(Invocation::new("r3e-monitor", &place.path("")).arguments(arguments));
    }
    all.into_iter().map(|it| it.set("runtime.dir", &place.path("run").to_string_lossy())).collect()
}

/// It worked, or said in one way what is too low.
#[track_caller]
fn assert_in_order(ended: &Ended, code: i32, limit: &str) {
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    match ended.code() {
        Some(0 | 2) => {}
        Some(found) if found == code => assert!(ended.stderr.contains(limit), "{limit} in {}", ended.stderr),
        found => panic!("exit {found:?}: {}", ended.stderr),
    }
}

/// With fewer than four a program cannot even be loaded; from 64 on they have enough.
#[test]
fn few_open_files() {
    open_files(&[4, 5, 8, 13, 21, 34, 55, 63, 64]);
}

#[test]
#[ignore = "takes a minute"]
fn few_open_files_of_any_number() {
    open_files(&(4..=66).collect::<Vec<_>>());
}

fn open_files(soft: &[u64]) {
    let world = World::new();
    let limits = soft.iter().flat_map(|&soft| [(soft, soft), (soft, 1024)]);
    let cells = limits.map(|(soft, hard)| (format!("{soft} open files of {hard}"), (soft, hard)));
    run_all(cells, |&(soft, hard)| {
        let place = world.place();
        for program in programs(&world, &place) {
            let ended = program.limit(Resource::RLIMIT_NOFILE, soft, hard).run();
            assert_in_order(&ended, 78, "RLIMIT_NOFILE");
            // A soft limit is raised.
            assert_eq!(ended.code() == Some(78), hard < 64, "{}", ended.stderr);
        }
        for daemon in daemons(&place) {
            let ended = run_daemon(&daemon.limit(Resource::RLIMIT_NOFILE, soft, hard), &place);
            assert_in_order(&ended, 78, "RLIMIT_NOFILE");
        }
        world.assert_nothing_lost(&place);
    });
}

/// A daemon begins or says what is too low; then it is stopped.
fn daemons(place: &Place) -> Vec<Invocation> {
    let scheduler = Invocation::new("r3e-scheduler", &place.path("")).set("schedule.load_at_start", "false");
    let of_monitor = |command: &str| Invocation::new("r3e-monitor", &place.path("")).argument(command);
    let serve = of_monitor("serve").argument("--listen").argument("127.0.0.1:0");
    let all = [scheduler.set("schedule.catch_up", "false"), of_monitor("watch"), serve];
    all.into_iter().map(|it| it.set("runtime.dir", &place.path("run").to_string_lossy())).collect()
}

/// Runs it until it answers or has ended by itself.
fn run_daemon(daemon: &Invocation, place: &Place) -> Ended {
    let mut running = daemon.spawn();
    let socket = format!("-{}.sock", running.pid());
    let is_socket = |name: &str| name.ends_with(&socket);
    let names = || std::fs::read_dir(place.path("run")).into_iter().flatten().flatten();
    let answers = || names().any(|it| is_socket(&it.file_name().to_string_lossy()));
    let mut answering = false;
    until("it answers or has ended", || {
        answering = answers();
        answering || running.has_ended()
    });
    if answering {
        running.signal("TERM");
    }
    running.wait()
}

#[test]
fn few_threads() {
    if !two_users() {
        return;
    }
    let world = World::new();
    // With this many all have enough.
    let enough = 12 + 4 * std::thread::available_parallelism().unwrap().get() as u64;
    let limits = (1..=enough).map(|it| (format!("{it} threads"), it));
    run_all(limits, |&threads| {
        let place = world.place();
        for path in
            files(&place.path("")).iter().flat_map(|it| it.ancestors()).filter(|it| it.starts_with(place.path("")))
        {
            chown(path, Some(ALONE), Some(ALONE)).unwrap();
        }
        for program in programs(&world, &place) {
            let ended = program.as_user(ALONE).limit(Resource::RLIMIT_NPROC, threads, threads).run();
            assert_in_order(&ended, 75, "RLIMIT_NPROC");
            assert!(threads < enough || ended.code() == Some(0), "{}", ended.stderr);
        }
        for daemon in daemons(&place) {
            let daemon = daemon.as_user(ALONE).limit(Resource::RLIMIT_NPROC, threads, threads);
            assert_in_order(&run_daemon(&daemon, &place), 75, "RLIMIT_NPROC");
        }
        world.assert_nothing_lost(&place);
    });
}
