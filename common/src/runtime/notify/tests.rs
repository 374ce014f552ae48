//! Messages that arrive at a real socket and a real pipe.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, IntoRawFd as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::*;
use crate::runtime::logging::{Format, Level, Options, subscriber};

const US: u32 = 4711;

fn environment(variables: &[(&str, &str)]) -> Environment {
    let mut environment = Environment::bare(PathBuf::new(), 1000);
    environment.variables =
        variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    environment
}

fn supervisor_of(variables: &[(&str, &str)]) -> Supervisor {
    Supervisor::new(&environment(variables), US, None).unwrap()
}

fn listen(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

fn next(socket: &UnixDatagram) -> Option<String> {
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).ok()?;
    Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
}

/// What `work` logs.
fn logged(work: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let kept = Kept::default();
    let writer = kept.clone();
    let options = Options { level: Level::Info, format: Format::Text, colours: false, times: false };
    tracing::subscriber::with_default(subscriber(options, move || writer.clone()), work);
    let bytes = kept.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// Sends all messages in the order of a daemon's life.
fn send_all(socket: &UnixDatagram, name: &str) {
    let supervisor = supervisor_of(&[("NOTIFY_SOCKET", name)]);
    let log = logged(|| {
        supervisor.ready("3 programs");
        assert_eq!(next(socket).unwrap(), "READY=1\nSTATUS=3 programs");
        supervisor.status("two\nlines");
        assert_eq!(next(socket).unwrap(), "STATUS=two lines");
        supervisor.alive();
        assert_eq!(next(socket).unwrap(), "WATCHDOG=1");
        let clock = || Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap()).as_micros();
        let before = clock();
        supervisor.reloading();
        let message = next(socket).unwrap();
        let when: u128 = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!((before..=clock()).contains(&when), "{message}");
        supervisor.ready("again");
        assert_eq!(next(socket).unwrap(), "READY=1\nSTATUS=again");
        supervisor.stopping("as asked");
        assert_eq!(next(socket).unwrap(), "STOPPING=1\nSTATUS=as asked");
        assert_eq!(next(socket), None);
    });
    assert_eq!(log, "");
}

#[test]
fn every_message_reaches_a_path_and_an_abstract_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    send_all(&listen(&path), path.to_str().unwrap());

    let name = format!("r3e-test-notify-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    send_all(&socket, &format!("@{name}"));
}

#[test]
fn without_a_socket_notification_is_a_no_op() {
    for variables in [&[][..], &[("NOTIFY_SOCKET", "")], &[("WATCHDOG_USEC", "1000000")]] {
        let supervisor = supervisor_of(variables);
        assert_eq!(supervisor.watchdog_every(), None, "{variables:?}");
        let log = logged(|| {
            supervisor.ready("x");
            supervisor.alive();
            supervisor.reloading();
            supervisor.stopping("x");
        });
        assert_eq!(log, "");
    }
}

#[test]
fn the_watchdog_is_fed_at_half_its_timeout_if_it_is_ours() {
    let every = |more: &[(&str, &str)]| {
        let variables = [&[("NOTIFY_SOCKET", "@nobody")], more].concat();
        supervisor_of(&variables).watchdog_every()
    };
    let half = Some(Duration::from_secs(15));
    assert_eq!(every(&[("WATCHDOG_USEC", "30000000")]), half);
    assert_eq!(every(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "4711")]), half);
    assert_eq!(every(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "4712")]), None);
    assert_eq!(every(&[("WATCHDOG_PID", "4711")]), None);
    for wrong in ["", "0", "-1", "soon", "99999999999999999999"] {
        assert_eq!(every(&[("WATCHDOG_USEC", wrong)]), None, "{wrong}");
    }
}

#[test]
fn each_problem_is_logged_once() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone").to_string_lossy().into_owned();
    let too_long = format!("/{}", "x".repeat(200));
    let invalid_watchdog = [("NOTIFY_SOCKET", "@nobody"), ("WATCHDOG_USEC", "soon")];
    for (variables, expected, lines) in [
        (&[("NOTIFY_SOCKET", "relative")][..], "NOTIFY_SOCKET=relative", 1),
        (&[("NOTIFY_SOCKET", &too_long)], "NOTIFY_SOCKET=/xxx", 1),
        (&[("NOTIFY_SOCKET", &gone)], &gone, 1),
        (&invalid_watchdog, "variable=\"WATCHDOG_USEC\" value=\"soon\"", 2),
    ] {
        let log = logged(|| {
            let supervisor = supervisor_of(variables);
            (0..100).for_each(|_| supervisor.alive());
        });
        assert!(log.contains(expected) && log.lines().count() == lines, "{log}");
    }
}

#[test]
fn readiness_is_sent_again_and_a_full_socket_does_not_block() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let supervisor = supervisor_of(&[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    let _warned = logged(|| supervisor.ready("one"));
    let socket = listen(&path);
    supervisor.status("two");
    assert_eq!(next(&socket).unwrap(), "READY=1\nSTATUS=two");

    // A full socket takes nothing, and holds up supervisor.
    let log = logged(|| (0..10_000).for_each(|_| supervisor.alive()));
    assert_eq!(log, "", "a full socket is not logged");
    supervisor.ready("three");
    let waiting = std::iter::from_fn(|| next(&socket)).collect::<Vec<_>>();
    assert!(waiting.len() < 10_000 && waiting.iter().all(|it| it == "WATCHDOG=1"), "{} messages", waiting.len());
    supervisor.alive();
    assert_eq!(next(&socket).unwrap(), "READY=1\nWATCHDOG=1");
    supervisor.alive();
    assert_eq!(next(&socket).unwrap(), "WATCHDOG=1");
}

#[test]
fn a_status_is_one_line_of_bounded_length() {
    assert_eq!(status_line("a\r\nREADY=1\0é"), "STATUS=a  READY=1 é");
    assert_eq!(status_line(&"é".repeat(1000)).chars().count(), MAX_STATUS_CHARS + "STATUS=".len());
}

#[test]
fn a_newline_is_written_once_to_the_pipe_and_its_number_is_free() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let fd = writer.into_raw_fd();
    let inode = |fd: i32| std::fs::read_link(format!("/proc/self/fd/{fd}")).ok();
    let pipe = inode(fd);
    let supervisor = Supervisor::new(&environment(&[]), US, Some(fd)).unwrap();
    assert_eq!(supervisor.watchdog_every(), None);
    let flags =
        nix::fcntl::fcntl(supervisor.pipe.lock().unwrap().as_ref().unwrap(), nix::fcntl::FcntlArg::F_GETFD).unwrap();
    assert_eq!(flags & 1, 1, "close-on-exec");
    // Another test may have the number by now, but not the pipe.
    let ours = supervisor.pipe.lock().unwrap().as_ref().unwrap().as_raw_fd();
    assert!(ours == fd || inode(fd) != pipe);
    supervisor.ready("x");
    supervisor.ready("x");
    let mut text = String::new();
    // To its end: it is closed.
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "\n");
}

#[test]
fn a_descriptor_that_is_not_a_pipe_is_an_error() {
    let message = |fd: i32| Supervisor::new(&environment(&[]), US, Some(fd)).unwrap_err().to_string();
    let file = tempfile::tempfile().unwrap();
    let not_a_pipe = message(file.as_raw_fd());
    assert!(not_a_pipe.contains(": it is /"), "{not_a_pipe}");
    assert!(file.metadata().is_ok(), "it stays open");
    assert!(message(1_000_000).starts_with("--notify-fd 1000000: there is no such descriptor"));
}

#[test]
fn a_closed_pipe_is_logged() {
    let (reader, writer) = std::io::pipe().unwrap();
    let supervisor = Supervisor::new(&environment(&[]), US, Some(writer.into_raw_fd())).unwrap();
    drop(reader);
    let log = logged(|| supervisor.ready("x"));
    assert!(log.contains("--notify-fd"), "{log}");
}
