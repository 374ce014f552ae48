//! Under supervisord.

use std::fs;
use std::process::{Child, Stdio};

use crate::life::{Supervisor, lives};
use crate::place::{Machine, shipped};

struct Supervisord;

fn ctl(machine: &Machine, arguments: &[&str]) -> String {
    let config = machine.place.path("supervisord.conf");
    let output = machine.run("supervisorctl", &[&["-c", config.to_str().unwrap()], arguments].concat());
    String::from_utf8(output.stdout).unwrap()
}

impl Supervisor for Supervisord {
    fn start(machine: &Machine) -> Child {
        let shipped = fs::read_to_string(shipped("supervisord/r3e.conf")).unwrap();
        fs::write(machine.place.path("r3e.conf"), machine.adjusted(&shipped)).unwrap();
        let path = |name: &str| machine.place.path(name).display().to_string();
        // What the machine's own configuration has beside the file that is shipped.
        let own = format!(
            "[supervisord]\nnodaemon=true\nlogfile={}\npidfile={}\nchildlogdir={}\n\
             [unix_http_server]\nfile={socket}\n\
             [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
             [supervisorctl]\nserverurl=unix://{socket}\n\
             [include]\nfiles={}\n",
            path("supervisord.log"),
            path("supervisord.pid"),
            path("log"),
            path("r3e.conf"),
            socket = path("supervisor.sock"),
        );
        let config = machine.place.path("supervisord.conf");
        fs::write(&config, own).unwrap();
        let mut command = machine.command("supervisord");
        command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn log(short: &str) -> String {
        format!("log/{short}.log")
    }

    fn reload(machine: &Machine, name: &str) {
        let told = ctl(machine, &["signal", "HUP", name]);
        assert!(told.contains("signalled"), "{told}");
    }

    fn stop(machine: &Machine, name: &str) {
        let told = ctl(machine, &["stop", name]);
        assert!(told.contains("stopped"), "{told}");
    }

    fn up(machine: &Machine, name: &str) {
        let _told = ctl(machine, &["start", name]);
    }

    fn stays_down(_machine: &Machine, _name: &str) -> bool {
        // One that ends at once has not started, whatever its exit code: it is tried again some times.
        false
    }

    fn end(machine: &Machine, child: &mut Child) {
        let _told = ctl(machine, &["shutdown"]);
        let _ended = child.wait().unwrap();
    }
}

#[test]
fn under_supervisord() {
    if r3e_needs::program("supervisord").is_some() {
        lives::<Supervisord>();
    }
}
