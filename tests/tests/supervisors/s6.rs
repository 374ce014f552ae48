//! Under s6.

use std::process::{Child, Stdio};

use r3e_tests::harness::until;

use crate::life::{Supervisor, lives};
use crate::place::{Machine, service, shipped};

struct S6;

fn folder(machine: &Machine, name: &str) -> String {
    machine.place.path("service").join(name).to_string_lossy().into_owned()
}

impl Supervisor for S6 {
    fn start(machine: &Machine) -> Child {
        let services = machine.place.path("service");
        machine.install(&shipped("s6"), &services);
        machine.command("s6-svscan").arg(services).stderr(Stdio::null()).spawn().unwrap()
    }

    fn log(short: &str) -> String {
        format!("log/{short}/current")
    }

    fn reload(machine: &Machine, name: &str) {
        let _told = machine.run("s6-svc", &["-h", &folder(machine, name)]);
    }

    fn stop(machine: &Machine, name: &str) {
        let _stopped = machine.run("s6-svc", &["-wD", "-T", "60000", "-d", &folder(machine, name)]);
    }

    fn up(machine: &Machine, name: &str) {
        let _told = machine.run("s6-svc", &["-u", &folder(machine, name)]);
    }

    fn stays_down(machine: &Machine, name: &str) -> bool {
        let status = || String::from_utf8(machine.run("s6-svstat", &[&folder(machine, name)]).stdout).unwrap();
        until("it is down", || status().starts_with("down ") && !status().contains("want up"));
        true
    }

    fn end(machine: &Machine, child: &mut Child) {
        let _told = machine.run("s6-svscanctl", &["-t", &machine.place.path("service").to_string_lossy()]);
        let _ended = child.wait().unwrap();
        until("all have ended", || machine.processes().is_empty());
    }
}

#[test]
fn under_s6() {
    if r3e_needs::program("s6-svscan").is_some() {
        lives::<S6>();
    }
}

/// It is told by its own means that both are ready.
#[test]
fn s6_is_notified_of_readiness() {
    if r3e_needs::program("s6-svscan").is_none() {
        return;
    }
    let sim = service();
    let machine = Machine::new(&sim.base_url());
    let mut child = S6::start(&machine);
    for name in ["r3e-scheduler", "r3e-monitor"] {
        until("it is looked after", || {
            machine.command("s6-svok").arg(folder(&machine, name)).status().unwrap().success()
        });
        let _ready = machine.run("s6-svwait", &["-U", "-t", "120000", &folder(&machine, name)]);
        let status = String::from_utf8(machine.run("s6-svstat", &[&folder(&machine, name)]).stdout).unwrap();
        assert!(status.contains("ready"), "{name}: {status}");
    }
    S6::end(&machine, &mut child);
}
