//! What the simulator does over a real socket.

use std::net::TcpStream;
use std::time::Duration;

use r3e_common::domain::{Catalog, Combination};

use super::raw::{Client, path};
use super::{SimOptions, Simulator, Stats};

pub(super) fn combination(text: &str) -> Combination {
    text.parse().unwrap()
}

/// Boards of 4000, 1500, 20 and no entries.
fn options() -> SimOptions {
    let catalog = "[[track]]\nid = 1\nname = 'A - B'\n[[class]]\nid = 1\nname = 'C'\n[[class]]\nid = 2\nname = 'D'\n\
                   [[class]]\nid = 3\nname = 'E'\n[[class]]\nid = 4\nname = 'F'";
    let sizes = [("1-1", 4000), ("1-2", 1500), ("1-3", 20), ("1-4", 0)];
    SimOptions {
        catalog: Catalog::from_toml(catalog).unwrap(),
        entries: 5520,
        drivers: 5000,
        board_sizes: sizes.into_iter().map(|(board, size)| (combination(board), size)).collect(),
        odd_rate: 0.0,
        ..SimOptions::default()
    }
}

pub(super) fn started(change: impl FnOnce(&mut SimOptions)) -> Simulator {
    let mut options = options();
    change(&mut options);
    Simulator::start(options).unwrap()
}

/// Asks for the counters until they are as wanted; the server sees a closed connection when its turn comes.
pub(super) fn until(simulator: &Simulator, wanted: impl Fn(&Stats) -> bool) -> Stats {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let stats = simulator.stats();
        if wanted(&stats) {
            return stats;
        }
        assert!(std::time::Instant::now() < deadline, "{stats:?}");
        std::thread::yield_now();
    }
}

#[test]
fn pages_are_capped_and_the_last_one_is_short() {
    let simulator = started(|_| {});
    let mut client = Client::with_session(&simulator);
    let mut page = |board: &str, start, count| client.listing(combination(board), start, count).entries().len();
    assert_eq!([0, 1500, 3000, 4500].map(|start| page("1-1", start, 9999)), [1500, 1500, 1000, 0]);
    assert_eq!([0, 1500].map(|start| page("1-2", start, 1500)), [1500, 0]);
    assert_eq!([page("1-3", 15, 10), page("1-4", 0, 10), page("9-9", 0, 10), page("1-3", u64::MAX, 5)], [5, 0, 0, 0]);
    let stats = simulator.stats();
    assert_eq!((stats.requests, stats.page_requests, stats.listing_requests), (11, 1, 10));
    assert_eq!((stats.further_page_requests, stats.distinct_boards, stats.connections_accepted), (6, 4, 1));
    assert_eq!(stats.user_agents["raw"], 11);
    assert!(stats.bytes_sent > 4_000_000, "{}", stats.bytes_sent);
}

#[test]
fn a_listing_needs_a_session_and_the_header_of_a_script() {
    let simulator = started(|it| it.session_requests = Some(2));
    let mut client = Client::connect(simulator.addr());
    let board = combination("1-3");
    assert_eq!(client.listing(board, 0, 5).status, 403);
    let page = client.make_session();
    assert_eq!((page.status, page.all("set-cookie").len()), (200, 2));
    assert!(page.text().starts_with("<!DOCTYPE html>"));
    let answer = client.get(&path(board, 0, 5), &[]);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!([(); 3].map(|()| client.listing(board, 0, 5).status), [200, 200, 401]);
    client.make_session();
    assert_eq!(client.listing(board, 0, 5).status, 200);
    simulator.end_sessions();
    assert_eq!(client.listing(board, 0, 5).status, 401);
    assert_eq!(client.get("/elsewhere", &[]).status, 404);
    let stats = simulator.stats();
    assert_eq!((stats.without_session, stats.without_script_header, stats.with_ended_session), (1, 1, 2));
    assert_eq!(stats.other_requests, 1);
}

#[test]
fn answers_are_compressed_for_who_accepts_it() {
    let simulator = started(|_| {});
    let mut client = Client::with_session(&simulator);
    let board = combination("1-3");
    let plain = client.listing(board, 0, 20);
    for accepted in ["gzip", "br, GZIP;q=0.5", "gzip, deflate"] {
        let answer = client.listing_with(board, 0, 20, &[("Accept-Encoding", accepted)]);
        assert_eq!((answer.header("content-encoding"), answer.text()), (Some("gzip"), plain.text()));
    }
    for refused in ["identity", "gzip;q=0", "br"] {
        let answer = client.listing_with(board, 0, 20, &[("Accept-Encoding", refused)]);
        // All but when: another second may have begun.
        assert_eq!((answer.status, answer.header("content-encoding"), answer.text()), (200, None, plain.text()));
    }
}

#[test]
fn who_has_the_page_already_is_told_so_until_the_board_changes() {
    let simulator = started(|it| it.etag = true);
    let mut client = Client::with_session(&simulator);
    let board = combination("1-3");
    let first = client.listing(board, 0, 20);
    let tag = first.header("etag").unwrap().to_owned();
    let mut again = || client.listing_with(board, 0, 20, &[("If-None-Match", &tag)]);
    let same = again();
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, Some(tag.as_str())));
    simulator.change_board(board).unwrap();
    let changed = again();
    assert_eq!((changed.status, simulator.stats().not_modified), (200, 1));
    assert_ne!((changed.header("etag"), changed.text()), (Some(tag.as_str()), first.text()));
}

#[test]
fn connections_are_counted_while_they_are_open() {
    let simulator = started(|_| {});
    let clients: Vec<Client> = (0..5).map(|_| Client::with_session(&simulator)).collect();
    let stats = until(&simulator, |stats| stats.idle == 5);
    assert_eq!((stats.connections_open, stats.connections_accepted, stats.in_flight), (5, 5, 0));
    drop(clients);
    let stats = until(&simulator, |stats| stats.connections_open == 0);
    assert_eq!((stats.connections_open_peak, stats.idle, stats.idle_peak), (5, 0, 5));
    simulator.reset_stats();
    assert_eq!(simulator.stats(), Stats::default());
}

#[test]
fn requests_are_in_flight_while_they_wait_and_given_up_with_their_connection() {
    let simulator = started(|_| {});
    let mut clients: Vec<Client> = (0..3).map(|_| Client::with_session(&simulator)).collect();
    simulator.set_latency(Duration::from_mins(1));
    for client in &mut clients {
        client.send(&path(combination("1-3"), 0, 5), &[("X-Requested-With", "XMLHttpRequest")]);
    }
    let stats = until(&simulator, |stats| stats.in_flight == 3);
    assert_eq!((stats.idle, stats.in_flight_peak, stats.connections_open), (0, 3, 3));
    assert!(stats.requests_per_second_peak >= 1);
    simulator.reset_stats();
    drop(clients);
    let stats = until(&simulator, |stats| stats.connections_open == 0);
    assert_eq!((stats.in_flight, stats.in_flight_peak, stats.idle_peak), (0, 3, 0));
}

#[test]
fn the_counters_are_told_over_http_and_do_not_count_themselves() {
    let simulator = started(|_| {});
    let mut client = Client::with_session(&simulator);
    client.listing(combination("1-3"), 0, 5);
    // The client may have the bytes before they are counted.
    let before = until(&simulator, |stats| stats.bytes_sent > 4000);
    let told = Client::connect(simulator.addr()).get("/__stats", &[]);
    assert_eq!(serde_json::from_str::<Stats>(&told.text()).unwrap(), before);
    assert_eq!(simulator.stats(), before);
}

#[test]
fn down_refuses_and_drops_and_up_listens_on_the_same_port() {
    let simulator = started(|it| it.latency = Duration::from_mins(1));
    let mut waiting = Client::connect(simulator.addr());
    waiting.send("/leaderboard/", &[]);
    until(&simulator, |stats| stats.in_flight == 1);
    simulator.go_down().unwrap();
    waiting.wait_for_close();
    let stats = simulator.stats();
    assert_eq!((stats.connections_open, stats.in_flight), (0, 0));
    assert!(TcpStream::connect(simulator.addr()).is_err());
    simulator.set_latency(Duration::ZERO);
    simulator.come_up().unwrap();
    simulator.come_up().unwrap();
    assert_eq!(Client::with_session(&simulator).listing(combination("1-3"), 0, 5).entries().len(), 5);
}

#[test]
fn dropped_it_stops_and_a_taken_port_is_told() {
    let simulator = started(|_| {});
    let address = simulator.addr();
    let mut client = Client::with_session(&simulator);
    let told = Simulator::start(SimOptions { listen: address, ..options() }).unwrap_err().to_string();
    assert!(told.starts_with(&format!("cannot listen on {address}: ")), "{told}");
    drop(simulator);
    client.wait_for_close();
    assert!(TcpStream::connect(address).is_err());
}
