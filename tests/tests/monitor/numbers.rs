//! Ambiguous process ids: containers that share a folder may have the same ids, and the id of a killed process may be
//! reused.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixListener;

use r3e_tests::harness::Place;
use serde_json::Value;

use crate::place::monitor;

/// A file that this test has open and no other process.
const MARK: &str = "open in the test";

/// Listens under these names, and answers nobody, as a program that is stuck.
fn listen(place: &Place, names: &[&str]) -> Vec<UnixListener> {
    DirBuilder::new().recursive(true).mode(0o700).create(place.path("run")).unwrap();
    names.iter().map(|name| UnixListener::bind(place.path("run").join(name)).unwrap()).collect()
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    monitor(place, &["--json"]).arguments(arguments).run().with_code(0).json()
}

#[test]
fn programs_with_equal_process_ids_are_distinguished_by_their_sockets() {
    let place = Place::new();
    let _open = fs::File::create(place.path(MARK)).unwrap();
    let _listeners = listen(&place, &["r3e-scheduler-1.sock", "r3e-scheduler-1.2.sock"]);
    let listed = json(&place, &["list"]);
    let shown: Vec<_> =
        listed.as_array().unwrap().iter().map(|it| (&it["pid"], &it["instance"], &it["state"])).collect();
    let stuck = &Value::from("not answering");
    assert_eq!(shown, [(&1.into(), &1.into(), stuck), (&1.into(), &2.into(), stuck)]);
    let table = monitor(&place, &["list"]).run().with_code(0).stdout;
    assert!(table.contains(" 1.2 "), "{table}");
    // By their numbers, one would take them for the first process of this machine.
    for which in ["1", "1.2"] {
        let fds = monitor(&place, &["fds", which]).run().with_code(0).stdout;
        assert!(fds.contains(MARK) && fds.contains("r3e-scheduler-1.2.sock listening"), "{which}: {fds}");
        let connections = monitor(&place, &["connections", which]).run().with_code(0).stdout;
        assert!(connections.contains("r3e-scheduler-1.sock"), "{which}: {connections}");
    }
    let both = monitor(&place, &["fds", "scheduler"]).run().with_code(2).stderr;
    assert!(both.contains("1.2"), "{both}");
}

#[test]
fn a_socket_that_was_left_behind_is_not_the_process_that_has_its_number_now() {
    let place = Place::new();
    // A process that is alive, and none of ours.
    let name = format!("r3e-loader-{}.sock", std::process::id());
    drop(listen(&place, &[&name]));
    assert_eq!(json(&place, &["list"])[0]["state"], "dead socket");
    let pid = std::process::id().to_string();
    for command in ["fds", "connections"] {
        for which in ["loader", &pid] {
            let refused = monitor(&place, &[command, which]).run().with_code(2);
            assert!(refused.stdout.is_empty(), "{}", refused.stdout);
            let _named = refused.naming(&["r3e-loader", &pid]);
        }
    }
    // Without that socket it is any process of this machine.
    fs::remove_file(place.path("run").join(&name)).unwrap();
    let _fds = monitor(&place, &["fds", &pid]).run().with_code(0);
}
