//! The program `r3e-sim`, run as people and scripts run it.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![allow(clippy::disallowed_methods, reason = "tests look at the disk without the programs' own code")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

use r3e_tests::sim::Stats;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_r3e-sim"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

/// The program once it is ready, and where it listens.
fn ready(arguments: &[&str]) -> (Child, String) {
    let (child, url) = ready_at(arguments);
    (child, url.strip_prefix("http://").unwrap().to_owned())
}

/// Likewise, and its base address.
fn ready_at(arguments: &[&str]) -> (Child, String) {
    let mut child = program(arguments).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim_end().strip_prefix("listening on ").unwrap().to_owned())
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
    for signal in ["-TERM", "-INT"] {
        let (mut child, address) = ready(&["--entries", "900", "--drivers", "60"]);
        assert!(get(&address, "/leaderboard/").contains("set-cookie: PHPSESSID="));
        let answer = get(&address, "/__stats");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let stats: Stats = serde_json::from_str(body).unwrap();
        assert_eq!((stats.requests, stats.page_requests, stats.connections_accepted), (1, 1, 1));
        let told = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn it_stops_by_itself_when_its_time_is_up() {
    let (mut child, _) = ready(&["--seconds", "0"]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_was_asked_wrongly_is_told_and_exits_2_and_a_taken_port_1() {
    let (mut child, address) = ready(&[]);
    let cases: [(&[&str], &str, i32); 4] = [
        (&["--fault-rate", "2"], "invalid value '2' for '--fault-rate <RATE>': expected a number from 0 to 1", 2),
        (&["--entries", "99999999999"], "--entries 99999999999: expected at most", 2),
        (&["--catalog", "/nowhere"], "--catalog /nowhere: cannot open /nowhere: No such file", 2),
        (&["--listen", &address], "cannot listen on", 1),
    ];
    for (arguments, message, code) in cases {
        let output = output(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(message), "{arguments:?}: {told}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{arguments:?}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn who_trusts_the_authority_that_it_writes_can_ask_over_https() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let (mut child, url) = ready_at(&["--entries", "900", "--tls", "http2", "--ca-file", ca.to_str().unwrap()]);
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let authority = reqwest::Certificate::from_pem(&std::fs::read(&ca).unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
    let answer = client.get(format!("{url}/__stats")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
    child.kill().unwrap();
    child.wait().unwrap();
    let refused = output(&["--tls", "both", "--ca-file", "/nowhere/ca.pem"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("--ca-file: cannot create /nowhere/"));
}

#[test]
fn the_help_has_examples() {
    let help = String::from_utf8(output(&["--help"]).stdout).unwrap();
    assert!(help.contains("Examples:") && help.contains("--fault <KIND=RATE>"), "{help}");
}
