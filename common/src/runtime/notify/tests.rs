//! What arrives at a real socket and a real pipe.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, IntoRawFd as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
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

fn supervisor(variables: &[(&str, &str)]) -> Supervisor {
    Supervisor::new(&environment(variables), US, None).unwrap()
}

/// One who listens at that path.
fn listen(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// The next message, if one has arrived.
fn next(socket: &UnixDatagram) -> Option<String> {
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).ok()?;
    Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
}

/// What is logged meanwhile.
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

/// All messages in the order of a daemon's life, at a socket.
fn a_life(socket: &UnixDatagram, name: &str) {
    let told = supervisor(&[("NOTIFY_SOCKET", name)]);
    let said = logged(|| {
        told.ready("3 programs");
        assert_eq!(next(socket).unwrap(), "READY=1\nSTATUS=3 programs");
        told.status("two\nlines");
        assert_eq!(next(socket).unwrap(), "STATUS=two lines");
        told.alive();
        assert_eq!(next(socket).unwrap(), "WATCHDOG=1");
        let clock = || Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap()).as_micros();
        let before = clock();
        told.reloading();
        let message = next(socket).unwrap();
        let when: u128 = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!((before..=clock()).contains(&when), "{message}");
        told.ready("again");
        assert_eq!(next(socket).unwrap(), "READY=1\nSTATUS=again");
        told.stopping("as asked");
        assert_eq!(next(socket).unwrap(), "STOPPING=1\nSTATUS=as asked");
        assert_eq!(next(socket), None);
    });
    assert_eq!(said, "");
}

#[test]
fn a_life_is_told_at_a_path_and_at_an_abstract_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    a_life(&listen(&path), path.to_str().unwrap());

    let name = format!("r3e-test-notify-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    a_life(&socket, &format!("@{name}"));
}

#[test]
fn nothing_is_told_where_nobody_asks() {
    for variables in [&[][..], &[("NOTIFY_SOCKET", "")], &[("WATCHDOG_USEC", "1000000")]] {
        let nobody = supervisor(variables);
        assert_eq!(nobody.watchdog_every(), None, "{variables:?}");
        let said = logged(|| {
            nobody.ready("x");
            nobody.alive();
            nobody.reloading();
            nobody.stopping("x");
        });
        assert_eq!(said, "");
    }
}

#[test]
fn the_watchdog_is_fed_twice_in_its_time_if_it_is_ours() {
    let every = |more: &[(&str, &str)]| {
        let variables = [&[("NOTIFY_SOCKET", "@nobody")], more].concat();
        supervisor(&variables).watchdog_every()
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
fn what_is_wrong_with_the_variables_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");
    let long = format!("/{}", "x".repeat(200));
    for (socket, expected) in [
        ("relative", "NOTIFY_SOCKET=relative: expected an absolute path, or a name that begins with @"),
        (&long, "NOTIFY_SOCKET=/xxx"),
        (gone.to_str().unwrap(), "the supervisor cannot be told how this program is"),
    ] {
        let told = supervisor(&[("NOTIFY_SOCKET", socket)]);
        let said = logged(|| (0..100).for_each(|_| told.alive()));
        assert!(said.contains(expected) && said.lines().count() == 1, "{said}");
    }
    let told = supervisor(&[("NOTIFY_SOCKET", "@nobody"), ("WATCHDOG_USEC", "soon")]);
    let said = logged(|| (0..100).for_each(|_| told.alive()));
    assert!(said.contains("WATCHDOG_USEC=soon: expected a number above 0"), "{said}");
}

#[test]
fn readiness_that_nobody_could_take_is_told_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let told = supervisor(&[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    // Nobody listens yet.
    let _warned = logged(|| told.ready("one"));
    let socket = listen(&path);
    told.status("two");
    assert_eq!(next(&socket).unwrap(), "READY=1\nSTATUS=two");

    // A full socket takes nothing, and holds up nobody.
    let said = logged(|| (0..10_000).for_each(|_| told.alive()));
    assert_eq!(said, "", "a full socket is nothing to warn of");
    told.ready("three");
    let waiting = std::iter::from_fn(|| next(&socket)).collect::<Vec<_>>();
    assert!(waiting.len() < 10_000 && waiting.iter().all(|it| it == "WATCHDOG=1"), "{} messages", waiting.len());
    told.alive();
    assert_eq!(next(&socket).unwrap(), "READY=1\nWATCHDOG=1");
    told.alive();
    assert_eq!(next(&socket).unwrap(), "WATCHDOG=1");
}

#[test]
fn a_status_is_one_line_of_bounded_length() {
    assert_eq!(status_line("a\r\nREADY=1\0é"), "STATUS=a  READY=1 é");
    assert_eq!(status_line(&"é".repeat(1000)).chars().count(), LONGEST_STATUS + "STATUS=".len());
}

#[test]
fn a_newline_is_written_once_to_the_pipe_and_its_number_is_free() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let fd = writer.into_raw_fd();
    let inode = |fd: i32| std::fs::read_link(format!("/proc/self/fd/{fd}")).ok();
    let pipe = inode(fd);
    let told = Supervisor::new(&environment(&[]), US, Some(fd)).unwrap();
    assert_eq!(told.watchdog_every(), None);
    let flags = nix::fcntl::fcntl(told.pipe.lock().unwrap().as_ref().unwrap(), nix::fcntl::FcntlArg::F_GETFD).unwrap();
    assert_eq!(flags & 1, 1, "children do not inherit it");
    // Another test may have the number by now, but not the pipe.
    let ours = told.pipe.lock().unwrap().as_ref().unwrap().as_raw_fd();
    assert!(ours == fd || inode(fd) != pipe);
    told.ready("x");
    told.ready("x");
    let mut text = String::new();
    // To its end: nobody holds it open any more.
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "\n");
}

#[test]
fn a_descriptor_that_is_no_pipe_is_told() {
    let message = |fd: i32| Supervisor::new(&environment(&[]), US, Some(fd)).unwrap_err().to_string();
    let file = tempfile::tempfile().unwrap();
    let told = message(file.as_raw_fd());
    assert!(
        told.ends_with("expected a pipe that the supervisor has opened there") && told.contains(": it is /"),
        "{told}"
    );
    assert!(file.metadata().is_ok(), "it stays open");
    assert_eq!(
        message(1_000_000),
        "--notify-fd 1000000: there is no such descriptor, expected a pipe that the supervisor has opened there"
    );
}

#[test]
fn a_pipe_that_nobody_reads_any_more_is_warned_of() {
    let (reader, writer) = std::io::pipe().unwrap();
    let told = Supervisor::new(&environment(&[]), US, Some(writer.into_raw_fd())).unwrap();
    drop(reader);
    let said = logged(|| told.ready("x"));
    assert!(said.contains("is not told by --notify-fd that this program is ready"), "{said}");
}
