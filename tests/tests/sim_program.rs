//! Runs `r3e-sim` as people and scripts do.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![expect(clippy::disallowed_methods, reason = "tests look at the disk without the programs' own code")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use r3e_tests::harness::{Invocation, Place, Running, program_beside, until};
use r3e_tests::sim::Stats;

fn program(place: &Place, arguments: &[&str]) -> Invocation {
    let sim = Invocation::new("r3e-sim", &place.path("")).executable(program_beside("r3e-sim"));
    sim.arguments(arguments)
}

/// Starts the program, waits until it is ready, and returns it with its address.
fn ready(place: &Place, arguments: &[&str]) -> (Running, String) {
    let (running, url) = ready_at(place, arguments);
    (running, url.strip_prefix("http://").unwrap().to_owned())
}

/// Like [`ready`], but returns the base URL.
fn ready_at(place: &Place, arguments: &[&str]) -> (Running, String) {
    let output = place.path("output");
    let running = program(place, arguments).stdout_to(output.clone()).spawn();
    let mut line = String::new();
    until("it says where it listens", || {
        line = fs::read_to_string(&output).unwrap();
        line.ends_with('\n')
    });
    (running, line.trim_end().strip_prefix("listening on ").unwrap().to_owned())
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_tells_where_it_listens_answers_and_stops_when_told() {
    for signal in ["TERM", "INT"] {
        let place = Place::new();
        let (running, address) = ready(&place, &["--entries", "900", "--drivers", "60"]);
        assert!(get(&address, "/leaderboard/").contains("set-cookie: PHPSESSID="));
        let answer = get(&address, "/__stats");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let stats: Stats = serde_json::from_str(body).unwrap();
        assert_eq!((stats.requests, stats.page_requests, stats.connections_accepted), (1, 1, 1));
        running.signal(signal);
        let _ended = running.wait().with_code(0);
    }
}

#[test]
fn it_stops_by_itself_when_its_time_is_up() {
    let place = Place::new();
    let (running, _) = ready(&place, &["--seconds", "0"]);
    let _ended = running.wait().with_code(0);
}

#[test]
fn what_was_asked_wrongly_is_told_and_exits_2_and_a_taken_port_1() {
    let place = Place::new();
    let (_running, address) = ready(&place, &[]);
    let cases: [(&[&str], &str, i32); 4] = [
        (&["--fault-rate", "2"], "--fault-rate", 2),
        (&["--entries", "99999999999"], "--entries 99999999999", 2),
        (&["--catalog", "/nowhere"], "--catalog /nowhere", 2),
        (&["--listen", &address], &address, 1),
    ];
    for (arguments, named, code) in cases {
        let ended = program(&place, arguments).run().with_code(code);
        assert_eq!(ended.naming(&[named]).stdout, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn who_trusts_the_authority_that_it_writes_can_ask_over_https() {
    let place = Place::new();
    let ca = place.path("ca.pem");
    let arguments = ["--entries", "900", "--tls", "http2", "--ca-file", ca.to_str().unwrap()];
    let (_running, url) = ready_at(&place, &arguments);
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let authority = reqwest::Certificate::from_pem(&fs::read(&ca).unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
    let answer = client.get(format!("{url}/__stats")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
    let refused = program(&place, &["--tls", "both", "--ca-file", "/nowhere/ca.pem"]).run().with_code(1);
    assert_eq!(refused.stdout, "");
    let _named = refused.naming(&["--ca-file", "/nowhere/"]);
}

#[test]
fn the_help_has_examples() {
    let help = program(&Place::new(), &["--help"]).run().with_code(0).stdout;
    assert!(help.contains("Examples:") && help.contains("--fault <KIND=RATE>"), "{help}");
}
