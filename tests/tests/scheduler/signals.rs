//! Signal dispositions inherited from the parent, and orphans of other processes.

use std::fs;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use r3e_tests::harness::{Invocation, Place, Running, children, command, events_with, program_beside, until};

use crate::place::{Logged, job_said, logged, started, stopped, with_told_jobs};

#[test]
fn signals_that_the_parent_had_blocked_or_ignored_do_not_matter() {
    use Signal::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
    for (blocked, ignored) in
        [(&[SIGTERM, SIGINT, SIGHUP, SIGCHLD][..], &[][..]), (&[], &[SIGCHLD]), (&[], &[SIGTERM, SIGINT, SIGHUP])]
    {
        let place = Place::new();
        let running = with_told_jobs(&place, &["3", "patient"]).blocking(blocked).ignoring(ignored).spawn();
        logged(&place, Logged::Done, 1);
        running.signal("HUP");
        logged(&place, Logged::Reloaded, 1);
        // A job can be stopped, too.
        crate::place::trigger(&place, "1693");
        job_said(&place, 2);
        let log = stopped(&place, running);
        let ended = events_with(&log, &["pid"]).pop().unwrap();
        assert!(ended.names("143"), "{blocked:?} {ignored:?}: {log}");
    }
}

#[test]
fn a_child_that_a_shell_left_when_it_became_the_scheduler_is_reaped() {
    let place = Place::new();
    let running = with_told_jobs(&place, &["held", "0"]).started_by(&program_beside("r3e-orphans"), &["1"]).spawn();
    job_said(&place, 1);
    until("both are its children", || children(running.pid()).len() == 2);
    fs::write(place.path("over"), "").unwrap();
    until("the other one is reaped", || children(running.pid()).len() == 1);
    fs::write(place.path("go"), "").unwrap();
    logged(&place, Logged::Done, 1);
    stopped(&place, running);
}

/// Starts it as the first process of a pid namespace, and then a program there, which leaves five orphans. None, which is said, where
/// that is not allowed.
fn first_with_orphans(first: Invocation) -> Option<Running> {
    // This also starts the reaper, if it is not there yet: it must not be the first process of the namespace.
    let mut orphans = command(&program_beside("r3e-orphans"), first.folder());
    // The namespace is that of the children of one thread, which cannot start threads any more: output has to go to files.
    let started = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWPID).ok()?;
        let running = first.spawn();
        let left = orphans.arg("5").status().unwrap();
        assert!(left.success());
        Some(running)
    });
    let started = started.join().unwrap();
    if started.is_none() {
        r3e_needs::missing("the right to make a pid namespace");
    }
    started
}

#[test]
fn the_first_process_of_a_container_reaps_orphans_and_still_learns_how_its_job_ended() {
    let place = Place::new();
    let scheduler = with_told_jobs(&place, &["held3"]);
    let Some(running) = first_with_orphans(scheduler) else { return };
    job_said(&place, 1);
    until("orphans and the job are its children", || children(running.pid()).len() == 6);
    fs::write(place.path("over"), "").unwrap();
    fs::write(place.path("go"), "").unwrap();
    logged(&place, Logged::Done, 1);
    until("all are reaped", || children(running.pid()).is_empty());
    stopped(&place, running);
    assert_eq!(started(&place).len(), 1);
}

#[test]
fn a_monitor_that_is_the_first_process_of_a_container_reaps_orphans() {
    for command in [&["watch"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let place = Place::new();
        let monitor = Invocation::new("r3e-monitor", &place.path("")).arguments(command);
        let monitor = monitor.set("runtime.dir", &place.path("run").to_string_lossy());
        let Some(running) = first_with_orphans(monitor.stdout_to(place.path("out")).stderr_to(place.path("log")))
        else {
            return;
        };
        until("orphans are its children", || children(running.pid()).len() == 5);
        fs::write(place.path("over"), "").unwrap();
        until("all are reaped", || children(running.pid()).is_empty());
        running.signal("TERM");
        let _ended = running.wait().with_code(0);
    }
}
