//! The life of the two daemons under a supervisor: start, crash, reload, a wrong configuration, stop.

use std::process::Child;

use r3e_tests::harness::{events, events_with, signal, until};

use crate::place::{Machine, service};

/// What a supervisor does, in its own words.
pub(crate) trait Supervisor {
    /// Installs the shipped files, and starts it.
    fn start(machine: &Machine) -> Child;
    /// The log of `scheduler` or `monitor`, in the machine's folder.
    fn log(short: &str) -> String;
    /// Sends SIGHUP to a service.
    fn reload(machine: &Machine, name: &str);
    /// Stops a service, and waits until it has.
    fn stop(machine: &Machine, name: &str);
    /// Starts a service that is down.
    fn up(machine: &Machine, name: &str);
    /// Waits until a service is seen to stay down, if this supervisor can tell by an exit code.
    fn stays_down(machine: &Machine, name: &str) -> bool;
    /// Ends the supervisor and all that it runs.
    fn end(machine: &Machine, child: &mut Child);
}

/// Ends the supervisor where a test fails in between.
struct Ending<'m, S: Supervisor> {
    machine: &'m Machine,
    child: Child,
    of: std::marker::PhantomData<S>,
}

impl<S: Supervisor> Drop for Ending<'_, S> {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|it| it.is_none()) {
            S::end(self.machine, &mut self.child);
        }
    }
}

/// The one process of that name that answers, once there is one that is not `old`.
fn answers(machine: &Machine, program: &str, old: Option<u64>) -> u64 {
    let mut found = Vec::new();
    until(&format!("{program} answers"), || {
        found = machine.answering(program);
        found.len() == 1 && Some(found[0]) != old
    });
    found[0]
}

/// All of it.
pub(crate) fn lives<S: Supervisor>() {
    let sim = service();
    let machine = Machine::new(&sim.base_url());
    let mut all = Ending::<S> { child: S::start(&machine), machine: &machine, of: std::marker::PhantomData };
    let log = |short: &str| machine.text(&S::log(short));
    let counted = |short: &str, text: &str| log(short).matches(text).count();

    // Start: both answer, the scheduler has the loader do its work, and each line is where it belongs.
    let first = answers(&machine, "r3e-scheduler", None);
    let monitor = answers(&machine, "r3e-monitor", None);
    let loads = || events_with(&log("scheduler"), &["pid", "seconds"]).len();
    until("the loader is done", || loads() >= 1);
    until("the monitor is at work", || !events_with(&log("monitor"), &["every", "purge_every"]).is_empty());
    assert!(machine.place.path("state/cache/driver_index.json.gz").is_file());
    let scheduler = log("scheduler");
    assert!(events(&scheduler).iter().any(|it| it.job.as_deref() == Some("r3e-loader")), "{scheduler}");
    assert!(!scheduler.contains("r3e_monitor") && !log("monitor").contains("r3e_scheduler"));

    // Crash: another takes its place, and the monitor goes on.
    signal(u32::try_from(first).unwrap(), "KILL");
    let second = answers(&machine, "r3e-scheduler", Some(first));
    until("the loader is done again", || loads() >= 2);
    assert_eq!(answers(&machine, "r3e-monitor", None), monitor);
    for pid in [second, monitor] {
        assert!(machine.processes().iter().any(|it| u64::from(*it) == pid), "{pid} is known to be of this machine");
    }

    // Reload: the same process reads it.
    machine.configure("[schedule]\ndaily_at = \"05:30\"\n");
    S::reload(&machine, "r3e-scheduler");
    until("it was read", || !events_with(&log("scheduler"), &["next"]).is_empty());
    assert_eq!(answers(&machine, "r3e-scheduler", None), second);

    // A configuration that is wrong is not tried for ever, and mending it is enough.
    machine.configure("[schedule]\ndaily_at = \"25:30\"\n");
    signal(u32::try_from(second).unwrap(), "KILL");
    until("it says what is wrong", || {
        log("scheduler").lines().any(|it| it.contains("schedule.daily_at") && it.contains("25:30"))
    });
    if S::stays_down(&machine, "r3e-scheduler") {
        machine.configure("");
        S::up(&machine, "r3e-scheduler");
    } else {
        machine.configure("");
    }
    let third = answers(&machine, "r3e-scheduler", Some(second));
    assert!(third != first && third != second);

    // Stop: in order, and nothing is left.
    let closings = counted("scheduler", "📅 Scheduler task exiting");
    S::stop(&machine, "r3e-scheduler");
    until("it has said so", || counted("scheduler", "📅 Scheduler task exiting") == closings + 1);
    assert_eq!(machine.answering("r3e-scheduler"), Vec::<u64>::new());
    assert_eq!(machine.answering("r3e-monitor"), [monitor]);
    S::end(&machine, &mut all.child);
    assert!(log("monitor").contains("⏹️ Memory monitoring stopped"), "{}", log("monitor"));
    until("nothing is left", || machine.processes().is_empty());
}
