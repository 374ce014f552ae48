//! Two jobs started at the same time: one works, the other exits with a message or waits.

use std::fs;
use std::time::Duration;

use r3e_tests::harness::{Invocation, Place, Running, events_with, names, until};

use super::cells::run_all;
use super::job::{JOBS, Job};
use super::world::World;

const FOREVER: Duration = Duration::from_mins(10);

fn pairs() -> impl Iterator<Item = (String, (Job, Job))> {
    JOBS.into_iter().flat_map(|one| JOBS.map(|other| (format!("{one:?} and {other:?}"), (one, other))))
}

/// A job that is at work, and will be for as long as the service does not answer.
fn at_work(job: Job, place: &Place, world: &World) -> Running {
    world.sim.reset_stats();
    world.sim.set_latency(FOREVER);
    let running = job.at(place, &world.sim).spawn();
    until("it asks the service", || world.sim.stats().requests > 0);
    running
}

#[track_caller]
fn assert_names(stderr: &str, holder: Job, pid: u32) {
    for part in ["cache", holder.program(), &pid.to_string()] {
        assert!(names(stderr, part), "{part:?} in {stderr}");
    }
}

#[test]
fn the_second_job_exits_75_and_the_next_starts_when_the_first_is_dead() {
    let world = World::new();
    run_all(pairs(), |&(one, other)| {
        let place = world.place();
        let mut first = at_work(one, &place, &world);
        let refused = other.at(&place, &world.sim).run().with_code(75);
        assert!(!first.has_ended(), "the first works on");
        assert_names(&refused.stderr, one, first.pid());
        assert_eq!(refused.stdout, "");
        assert_eq!(world.sim.stats().requests, 1, "the second asks for nothing");

        assert_eq!(first.kill().code(), None);
        world.sim.set_latency(Duration::ZERO);
        let _next = other.at(&place, &world.sim).run().with_code(0);
        world.assert_undisturbed(&place);
    });
}

#[test]
fn of_two_simultaneous_jobs_one_runs() {
    let world = World::new();
    run_all(pairs(), |&(one, other)| {
        let place = world.place();
        // They name the previous writer until the new holder of the lock has written its name.
        for folder in [place.cache(), place.staging()] {
            let _none = fs::remove_file(folder.join(".writer.lock"));
        }
        world.sim.reset_stats();
        world.sim.set_latency(FOREVER);
        let mut both = [one, other].map(|job| (job, job.at(&place, &world.sim).spawn()));
        until("one has ended", || both.iter_mut().any(|(_, it)| it.has_ended()));
        let [a, b] = both;
        let (mut a, b) = (a, b);
        let ((_, refused), (holder, mut working)) = if a.1.has_ended() { (a, b) } else { (b, a) };
        let refused = refused.wait().with_code(75);
        assert!(!working.has_ended(), "both have ended");
        until("the other asks the service", || world.sim.stats().requests > 0);
        // Whoever has just taken the lock may not have said yet who it is.
        if names(&refused.stderr, "r3e-") {
            assert_names(&refused.stderr, holder, working.pid());
        }
        world.sim.set_latency(Duration::ZERO);
        assert_eq!(working.kill().code(), None);
        let _next = one.at(&place, &world.sim).run().with_code(0);
        world.assert_undisturbed(&place);
    });
}

/// A job that waits for another writer, and what it says meanwhile is at that path.
fn waiting(job: Invocation, place: &Place) -> (Running, std::path::PathBuf) {
    let log = place.path("waiting.log");
    let running = job.arguments(&["--wait", "1m"]).stderr_to(log.clone()).spawn();
    until("it says that it waits", || {
        fs::read_to_string(&log).is_ok_and(|text| !events_with(&text, &["wait"]).is_empty())
    });
    (running, log)
}

#[test]
fn a_job_with_wait_waits_and_then_runs() {
    let world = World::new();
    run_all(pairs(), |&(one, other)| {
        let place = world.place();
        let first = at_work(one, &place, &world);
        let (mut second, log) = waiting(other.at(&place, &world.sim), &place);
        assert_names(&fs::read_to_string(&log).unwrap(), one, first.pid());
        assert!(!second.has_ended());
        assert_eq!(world.sim.stats().requests, 1, "who waits asks for nothing");
        world.sim.set_latency(Duration::ZERO);
        first.signal("TERM");
        let _stopped = first.wait().with_code(143);
        let _worked = second.wait().with_code(0);
        world.assert_undisturbed(&place);
    });
}

#[test]
fn a_waiting_job_can_be_stopped() {
    let world = World::new();
    run_all(pairs(), |&(one, other)| {
        let place = world.place();
        let mut first = at_work(one, &place, &world);
        for (name, code) in [("TERM", 143), ("INT", 130)] {
            let (second, log) = waiting(other.at(&place, &world.sim), &place);
            second.signal(name);
            let ended = second.wait().with_code(code);
            assert_eq!(ended.stdout, "");
            fs::remove_file(log).unwrap();
        }
        assert!(!first.has_ended() && world.sim.stats().requests == 1);
        assert_eq!(first.kill().code(), None);
        world.sim.set_latency(Duration::ZERO);
        let _next = other.at(&place, &world.sim).run().with_code(0);
        world.assert_undisturbed(&place);
    });
}
