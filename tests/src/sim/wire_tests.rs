//! Tests of what production uses on the wire: TLS, HTTP/2, and connections that go silent.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Response, Version};

use super::raw::{self, path};
use super::socket_tests::{combination, started, until};
use super::{BadCertificate, FaultKind, Faults, Simulator, Tls};

/// A client that trusts the simulator's authority and nobody else.
fn client(simulator: &Simulator, change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    // A second test finds it installed.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let authority = Certificate::from_pem(simulator.ca_pem().unwrap().as_bytes()).unwrap();
    change(Client::builder().tls_certs_only([authority]).no_proxy()).build().unwrap()
}

/// How long the answer to a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

fn pinging(client: ClientBuilder) -> ClientBuilder {
    client.http2_keep_alive_interval(PING_TIMEOUT / 10).http2_keep_alive_timeout(PING_TIMEOUT)
}

async fn page(client: &Client, simulator: &Simulator) -> reqwest::Result<Response> {
    client.get(format!("{}/leaderboard/", simulator.base_url())).send().await
}

/// A listing with a session's cookie.
async fn listing(client: &Client, simulator: &Simulator, board: &str) -> reqwest::Result<String> {
    let session = page(client, simulator).await?;
    let cookie = session.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let address = format!("{}{}", simulator.base_url(), path(combination(board), 0, 10));
    let request = client.get(address).header("cookie", cookie).header("x-requested-with", "XMLHttpRequest");
    request.send().await?.text().await
}

fn with_tls(tls: Tls) -> impl FnOnce(&mut super::SimOptions) {
    move |it| it.tls = Some(tls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_gets_the_version_of_http_that_is_offered() {
    for (tls, version) in [(Tls::Http1, Version::HTTP_11), (Tls::Http2, Version::HTTP_2), (Tls::Both, Version::HTTP_2)]
    {
        let simulator = started(with_tls(tls));
        // A bare machine may not know the name.
        let client = client(&simulator, |it| it.resolve("localhost", simulator.addr()));
        for host in ["127.0.0.1", "localhost"] {
            let address = simulator.base_url().replace("127.0.0.1", host);
            let answer = client.get(address + "/leaderboard/").send().await.unwrap();
            assert_eq!((answer.version(), answer.status().as_u16()), (version, 200), "{tls:?} {host}");
            assert!(answer.text().await.unwrap().starts_with("<!DOCTYPE html>"));
        }
        assert!(listing(&client, &simulator, "1-1").await.unwrap().contains("results"));
        let stats = until(&simulator, |stats| stats.idle >= 2 && stats.in_flight == 0);
        // One for each host; over HTTP/1.1 another one, where a request comes before the last one's connection is free.
        let opened = stats.connections_accepted;
        let (allowed, over_http2) = if version == Version::HTTP_2 { (2..=2, 1) } else { (2..=4, 0) };
        assert!(allowed.contains(&opened), "{stats:?}");
        assert!((2..=opened).contains(&stats.tls_handshakes) && stats.tls_handshakes_failed == 0, "{stats:?}");
        assert_eq!(
            (stats.requests, stats.http2_connections, stats.http2_streams),
            (4, opened * over_http2, 4 * over_http2)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_bad_certificate_is_refused_by_a_client_for_what_is_wrong_with_it() {
    let kinds = [
        (BadCertificate::Expired, "certificate expired"),
        (BadCertificate::OtherHost, "other.example"),
        (BadCertificate::SelfSigned, "UnknownIssuer"),
    ];
    for (kind, cause) in kinds {
        let simulator = started(|it| (it.tls, it.bad_certificate) = (Some(Tls::Both), Some(kind)));
        let client = client(&simulator, |it| it);
        let error = page(&client, &simulator).await.unwrap_err();
        let causes = std::iter::successors(error.source(), |&error| error.source());
        let innermost = causes.last().unwrap().to_string();
        assert!(innermost.contains(cause), "{kind:?}: {innermost}");
        let stats = until(&simulator, |stats| stats.connections_open == 0);
        assert_eq!((stats.requests, stats.tls_handshakes), (0, 0));
        assert_eq!(stats.tls_handshakes_failed, stats.connections_accepted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn streams_share_a_connection_that_is_idle_when_the_last_has_ended() {
    let simulator = Arc::new(started(with_tls(Tls::Http2)));
    let client = client(&simulator, |it| it);
    page(&client, &simulator).await.unwrap();
    simulator.set_latency(Duration::from_mins(1));
    let ask = |_| {
        tokio::spawn({
            let (client, simulator) = (client.clone(), Arc::clone(&simulator));
            async move { page(&client, &simulator).await.map(|answer| answer.status().as_u16()) }
        })
    };
    let waiting: Vec<_> = (0..20).map(ask).collect();
    let stats = until(&simulator, |stats| stats.in_flight == 20);
    assert_eq!((stats.connections_open, stats.idle, stats.http2_streams), (1, 0, 21));
    // A stream that is given up leaves the others and the connection alone.
    waiting[0].abort();
    let stats = until(&simulator, |stats| stats.in_flight == 19);
    assert_eq!((stats.connections_open, stats.idle), (1, 0));
    simulator.go_down().unwrap();
    let stats = simulator.stats();
    assert_eq!((stats.connections_open, stats.in_flight, stats.idle), (0, 0, 0));
    assert_eq!((stats.connections_accepted, stats.connections_open_peak, stats.in_flight_peak), (1, 1, 20));
    for waiting in waiting.into_iter().skip(1) {
        assert!(waiting.await.unwrap().is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn faults_reset_a_stream_or_close_the_connection() {
    for (kind, connections) in [(FaultKind::CutLength, 1), (FaultKind::CutChunked, 1), (FaultKind::CloseBefore, 2)] {
        let simulator = started(|it| (it.tls, it.faults) = (Some(Tls::Http2), Faults::only(kind, 1.0)));
        let client = client(&simulator, |it| it.retry(reqwest::retry::never()));
        assert!(listing(&client, &simulator, "1-1").await.is_err(), "{kind}");
        simulator.set_faults(Faults::default()).unwrap();
        assert!(listing(&client, &simulator, "1-1").await.unwrap().contains("results"));
        let stats = simulator.stats();
        assert_eq!((stats.connections_accepted, stats.faults[&kind]), (connections, 1), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_silent_connection_answers_no_ping_and_others_work() {
    let simulator = started(|it| (it.tls, it.silent_after) = (Some(Tls::Http2), Some(3)));
    let client = client(&simulator, pinging);
    for _ in 0..3 {
        page(&client, &simulator).await.unwrap().text().await.unwrap();
    }
    // The client notices by itself: nobody closes the connection.
    assert!(page(&client, &simulator).await.is_err());
    for _ in 0..5 {
        page(&client, &simulator).await.unwrap().text().await.unwrap();
    }
    let stats = until(&simulator, |stats| stats.connections_open == 1);
    assert_eq!((stats.connections_accepted, stats.requests, stats.in_flight), (2, 9, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn silent_streams_are_on_a_connection_that_answers_pings() {
    let simulator = started(|it| (it.tls, it.silent_streams_after) = (Some(Tls::Http2), Some(1)));
    let waiting = client(&simulator, |it| pinging(it).timeout(3 * PING_TIMEOUT));
    page(&waiting, &simulator).await.unwrap().text().await.unwrap();
    assert!(page(&waiting, &simulator).await.unwrap_err().is_timeout());
    let stats = until(&simulator, |stats| stats.in_flight == 0);
    assert_eq!((stats.connections_open, stats.connections_accepted), (1, 1), "pings were answered");
    let other = client(&simulator, |it| it);
    for _ in 0..3 {
        page(&other, &simulator).await.unwrap().text().await.unwrap();
    }
    assert_eq!(simulator.stats().connections_accepted, 2);
}

#[test]
fn a_silent_connection_stays_open_and_takes_what_is_sent() {
    let simulator = started(|it| it.silent_after = Some(2));
    let mut first = raw::Client::connect(simulator.addr());
    first.make_session();
    assert_eq!(first.listing(combination("1-3"), 0, 5).status, 200);
    first.send("/leaderboard/", &[]);
    until(&simulator, |stats| stats.in_flight == 1);
    // Its request is older than these answers.
    let mut second = raw::Client::with_session(&simulator);
    for _ in 0..3 {
        assert_eq!(second.listing(combination("1-3"), 0, 5).status, 200);
    }
    first.send("/leaderboard/", &[]);
    assert!(first.has_nothing(), "neither an answer nor the end");
    assert_eq!(simulator.stats().connections_open, 2);
    drop(first);
    let stats = until(&simulator, |stats| stats.connections_open == 1);
    assert_eq!((stats.in_flight, stats.idle, stats.requests), (0, 1, 7));
}
