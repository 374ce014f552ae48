//! Invalid, slow and unauthorised clients.

use std::io::{Read as _, Write as _};

use super::*;

#[test]
fn a_request_with_a_body_or_too_large_a_head_is_refused() {
    let world = World::new();
    let status = |request: &str| Answer::parse(&world.send(request.as_bytes()).unwrap()).status;
    assert_eq!(status("POST /purge HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), 200);
    assert_eq!(status("POST /purge HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n"), 413);
    assert_eq!(status("POST /purge HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"), 413);
    assert_eq!(status(&format!("GET /stats HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9000))), 431);
    assert_eq!(status(&format!("GET /stats HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100))), 431);
    assert_eq!(status("nonsense\r\n\r\n"), 400);
    // One request a connection: the second is not answered.
    let twice = world.send(&b"GET /tasks HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2)).unwrap();
    assert_eq!(twice.matches("HTTP/1.1 200").count(), 1, "{twice}");
}

#[test]
fn silent_and_slow_clients_are_disconnected_and_do_not_delay_others() {
    let world = World::bounded(Bounds { connections: 4, time: Duration::from_secs(3) });
    let mut silent = world.connect();
    let mut half = world.connect();
    half.write_all(b"GET /stats HTT").unwrap();
    let mut no_end = world.connect();
    no_end.write_all(b"POST /purge HTTP/1.1\r\nHost: x\r\n").unwrap();
    assert_eq!(world.ask("GET /stats").status, 200);
    for stream in [&mut silent, &mut half, &mut no_end] {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"", "closed without an answer");
    }
}

#[test]
fn connections_beyond_the_limit_are_closed() {
    let world = World::bounded(Bounds { connections: 2, time: LONG });
    let taken = [world.connect(), world.connect()];
    let mut one_more = world.connect();
    let mut answer = Vec::new();
    assert_eq!(one_more.read_to_end(&mut answer).unwrap(), 0, "closed at once");
    drop(taken);
    until("a slot is free", || {
        world.send(b"GET /tasks HTTP/1.1\r\nHost: x\r\n\r\n").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    });
}

/// Variables for [`another_user`]: the socket, and the expected answer.
const SOCKET: &str = "R3E_TEST_SOCKET";
const EXPECTED: &str = "R3E_TEST_EXPECTED";

/// Runs in a process of another user, started by the test below.
#[test]
#[ignore = "only as another user"]
fn another_user() {
    let (Some(path), Ok(expected)) = (std::env::var_os(SOCKET), std::env::var(EXPECTED)) else { return };
    let answer = UnixStream::connect(&path).and_then(|mut stream| {
        stream.set_read_timeout(Some(LONG))?;
        // It may be closed before it is written to.
        let _closed = stream.write_all(b"POST /purge HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
            _ => Ok(answer.len()),
        }
    });
    assert_eq!(answer.map_or_else(|error| error.kind().to_string(), |bytes| format!("{bytes} bytes")), expected);
}

#[test]
fn another_user_can_neither_read_nor_purge() {
    // Only root can become another user.
    if !r3e_needs::root() {
        return;
    }
    let world = World::new();
    let another_user_gets = |expected: &str| {
        // The other user may have no access to the program's path.
        let output = Command::new("/proc/self/exe")
            .args(["--exact", "runtime::control::tests::hostile::another_user", "--ignored"])
            .env(SOCKET, world.control.path())
            .env(EXPECTED, expected)
            .current_dir("/")
            .uid(65534)
            .gid(65534)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    };
    another_user_gets("permission denied");
    // Even where folder and socket let everyone in: closed without an answer.
    let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    open(world.folder.path(), 0o755);
    open(world.control.path().parent().unwrap(), 0o755);
    open(world.control.path(), 0o666);
    another_user_gets("0 bytes");
}
