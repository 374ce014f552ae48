//! The notifications that the real daemons send to a socket, as systemd would receive them.

use std::collections::VecDeque;
use std::fs;
use std::io::Read as _;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use r3e_tests::harness::{BOUND, Invocation, Place, Running, events, events_at, paused, until};

use crate::place::{Machine, service};

/// Half of it is how often the watchdog is to be fed.
const WATCHDOG: Duration = Duration::from_millis(200);

/// One who listens, with what has arrived and not been looked at.
struct Socket {
    ours: UnixDatagram,
    arrived: VecDeque<String>,
}

impl Socket {
    fn new(place: &Place) -> Self {
        Self { ours: UnixDatagram::bind(place.path("notify")).unwrap(), arrived: VecDeque::new() }
    }

    /// The next message, if one comes within that time.
    fn within(&mut self, time: Duration) -> Option<String> {
        if let Some(message) = self.arrived.pop_front() {
            return Some(message);
        }
        self.ours.set_read_timeout(Some(time)).unwrap();
        let mut bytes = [0; 4096];
        let length = self.ours.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
    }

    /// Waits for a message with that line; gives all of its lines.
    #[track_caller]
    fn wait_for(&mut self, beginning: &str) -> String {
        let mut seen = Vec::new();
        loop {
            let message = self.within(BOUND).unwrap_or_else(|| panic!("no {beginning} came, but {seen:?}"));
            if message.lines().any(|line| line.starts_with(beginning)) {
                return message;
            }
            seen.push(message);
        }
    }

    /// Checks that nothing comes for several times as long as a word is due.
    fn assert_silent(&mut self) {
        while self.within(Duration::from_millis(1)).is_some() {}
        assert_eq!(self.within(WATCHDOG * 5), None);
    }
}

fn told(invocation: Invocation, place: &Place) -> Invocation {
    let socket = place.path("notify");
    let micros = WATCHDOG.as_micros().to_string();
    invocation.variable("NOTIFY_SOCKET", socket.to_str().unwrap()).variable("WATCHDOG_USEC", &micros)
}

/// The watchdog is fed again and again, not while the process stands still, and again when it goes on.
fn watchdog(socket: &mut Socket, running: &Running) {
    for _ in 0..10 {
        let _fed = socket.wait_for("WATCHDOG=1");
    }
    paused(running.pid(), || socket.assert_silent());
    let _fed = socket.wait_for("WATCHDOG=1");
}

#[test]
fn a_watch_notifies_the_supervisor() {
    let place = Place::new();
    let mut socket = Socket::new(&place);
    let run = place.path("run");
    let watch = Invocation::new("r3e-monitor", &place.path("")).argument("watch");
    let watch = watch.set("runtime.dir", &run.to_string_lossy()).set("monitor.every", "50ms").set("log.format", "json");
    let running = told(watch, &place).spawn();
    assert!(socket.within(BOUND).unwrap().starts_with("READY=1\nSTATUS="));
    let status = socket.wait_for("STATUS=1 of 1 ");
    assert!(status.ends_with('Z'), "{status}");
    watchdog(&mut socket, &running);
    running.signal("TERM");
    let _stopping = socket.wait_for("STOPPING=1");
    let ended = running.wait().with_code(0);
    assert!(events_at(&ended.stderr, "WARN").is_empty(), "{}", ended.stderr);
}

#[test]
fn a_serve_notifies_the_supervisor_once_it_listens() {
    let place = Place::new();
    let mut socket = Socket::new(&place);
    let serve = Invocation::new("r3e-monitor", &place.path("")).arguments(&["serve", "--listen", "127.0.0.1:0"]);
    let serve = serve.set("runtime.dir", &place.path("run").to_string_lossy()).set("log.format", "json");
    let running = told(serve, &place).spawn();
    let ready = socket.within(BOUND).unwrap();
    let address = ready.strip_prefix("READY=1\nSTATUS=listening on http://").unwrap().trim_end_matches('/');
    let _connected = std::net::TcpStream::connect(address).unwrap();
    watchdog(&mut socket, &running);
    running.signal("TERM");
    let _stopping = socket.wait_for("STOPPING=1");
    let ended = running.wait().with_code(0);
    assert!(events_at(&ended.stderr, "WARN").is_empty(), "{}", ended.stderr);
}

#[test]
fn a_scheduler_notifies_the_supervisor_and_its_jobs_do_not() {
    let sim = service();
    sim.set_latency(Duration::from_mins(10));
    let machine = Machine::new(&sim.base_url());
    let place = &machine.place;
    let mut socket = Socket::new(place);
    let scheduler = Invocation::new("r3e-scheduler", &place.path("state")).set("log.format", "json");
    let running = told(scheduler, place).spawn();
    let ready = socket.within(BOUND).unwrap();
    assert!(ready.starts_with("READY=1\nSTATUS="), "{ready}");
    let status = socket.wait_for("STATUS=load, pid ");
    let pid: String = status.trim_start_matches("STATUS=load, pid ").chars().take_while(char::is_ascii_digit).collect();
    until("the job is at work", || sim.stats().in_flight > 0);
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC"] {
        assert!(!environment.contains(name), "a job would speak in the scheduler's name: {environment}");
    }
    watchdog(&mut socket, &running);

    for daily_at in ["05:30", "25:30"] {
        machine.configure(&format!("[schedule]\ndaily_at = \"{daily_at}\"\n"));
        running.signal("HUP");
        let reloading = socket.wait_for("RELOADING=1");
        let since: u128 = reloading.lines().nth(1).unwrap().strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!(since > 0, "{daily_at}");
        let _ready = socket.wait_for("READY=1");
    }
    running.signal("TERM");
    let _stopping = socket.wait_for("STOPPING=1");
    let ended = running.wait().with_code(0);
    assert_eq!(ended.events_with(&["next"]).len(), 1, "the one that is valid is read: {}", ended.stderr);
    let errors = events_at(&ended.stderr, "ERROR");
    assert!(errors.iter().any(|it| it.names("schedule.daily_at") && it.names("25:30")), "{errors:?}");
    assert!(events(&ended.stderr).iter().any(|it| it.job.as_deref() == Some("r3e-loader")), "{}", ended.stderr);
    until("nothing is left", || machine.processes().is_empty());
}

/// A program that is to have heap profiles executes itself anew, and has to keep what it is told to be ready at.
#[test]
fn readiness_is_written_to_the_descriptor_even_with_profiling() {
    let serve = &["serve", "--listen", "127.0.0.1:0"][..];
    for (program, arguments) in [("r3e-monitor", &["watch"][..]), ("r3e-monitor", serve), ("r3e-scheduler", &[])] {
        let place = Place::new();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let daemon = Invocation::new(program, &place.path(""))
            .arguments(arguments)
            .arguments(&["--notify-fd", "3"])
            .set("runtime.dir", &place.path("run").to_string_lossy())
            .set("schedule.load_at_start", "false")
            .set("memory.profile", "ready")
            .descriptor(3, writer);
        let running = daemon.spawn();
        let (told, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut first = [0];
            told.send(reader.read_exact(&mut first).map(|()| first)).unwrap();
        });
        assert_eq!(heard.recv_timeout(BOUND).unwrap().unwrap(), *b"\n");
        running.signal("TERM");
        let _ended = running.wait().with_code(0);
    }
}
