//! The scheduler does not accumulate anything: after a hundred jobs (some fail, hang or are killed) it uses what it used
//! after the second.

use r3e_tests::harness::{Place, until};

use crate::place::{Logged, fds, figure, logged, resources, started, stopped, totals, trigger, with_told_jobs};

#[test]
fn a_hundred_jobs_leave_no_more_than_two() {
    let place = Place::new();
    let bad = ["1", "69", "killed", "75", "deaf", "74", "killed", "patient", "101"];
    let told: Vec<&str> = ["0", "0"].into_iter().chain(bad.into_iter().cycle().take(97)).chain(["0"]).collect();
    let jobs = with_told_jobs(&place, &told).set("schedule.attempts", "100").set("schedule.trigger_poll", "10ms");
    let running = jobs.set("schedule.job_timeout", "1s").set("runtime.stop_grace", "50ms").spawn();
    let pid = running.pid();
    logged(&place, Logged::Done, 1);
    trigger(&place, "1693");
    logged(&place, Logged::Done, 2);
    let second = resources(&place, pid);
    trigger(&place, "1693");
    logged(&place, Logged::Done, 3);
    assert_eq!(started(&place).len(), 100);
    // The connection of whoever asked is closed a moment later.
    until("no more descriptors are open", || fds(pid) <= second.fds);
    let hundredth = resources(&place, pid);
    println!("after the second job {second:?}, after the hundredth {hundredth:?}");
    hundredth.is_no_more_than(&second);
    // It idles small: what answering the monitor needed is given back a few seconds later.
    until("it has less than 3 MB of its own again", || figure(pid, "RssAnon") < 3 << 10);
    let log = stopped(&place, running);
    assert_eq!(totals(&log), [100, 97], "{log}");
}
