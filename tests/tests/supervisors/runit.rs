//! Under runit.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use r3e_tests::harness::{signal, until};

use crate::life::{Supervisor, lives};
use crate::place::{Machine, shipped};

struct Runit;

fn folder(machine: &Machine, name: &str) -> String {
    machine.place.path("service").join(name).to_string_lossy().into_owned()
}

impl Supervisor for Runit {
    fn start(machine: &Machine) -> Child {
        let services: PathBuf = machine.place.path("service");
        machine.install(&shipped("runit"), &services);
        machine.command("runsvdir").arg("-P").arg(services).stderr(Stdio::null()).spawn().unwrap()
    }

    fn log(short: &str) -> String {
        format!("log/{short}/current")
    }

    fn reload(machine: &Machine, name: &str) {
        let _told = machine.run("sv", &["hup", &folder(machine, name)]);
    }

    fn stop(machine: &Machine, name: &str) {
        let _stopped = machine.run("sv", &["-w", "60", "stop", &folder(machine, name)]);
    }

    fn up(machine: &Machine, name: &str) {
        let _told = machine.run("sv", &["up", &folder(machine, name)]);
    }

    fn stays_down(machine: &Machine, name: &str) -> bool {
        let status = || String::from_utf8(machine.run("sv", &["status", &folder(machine, name)]).stdout).unwrap();
        until("it is down", || status().starts_with("down: ") && !status().contains("want up"));
        true
    }

    fn end(machine: &Machine, child: &mut Child) {
        // Asks all of them to end, and ends itself at once; they end in their own time.
        signal(child.id(), "HUP");
        let _ended = child.wait().unwrap();
        until("all have ended", || machine.processes().is_empty());
    }
}

#[test]
fn under_runit() {
    if r3e_needs::program("runsvdir").is_some() {
        lives::<Runit>();
    }
}
