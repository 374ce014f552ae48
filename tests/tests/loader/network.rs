//! The network as in production: TLS with each HTTP version, and connections that fail or go silent.

use std::time::Duration;

use r3e_tests::harness::{Differences, Invocation, Place, assert_serves, board_files, driver_index, grid, until};
use r3e_tests::sim::{FaultKind, Faults, SimOptions, Simulator, Stats, Tls};

const CONCURRENCY: u64 = 4;

/// A service over TLS with a few hundred boards, of which pages of 50 make several pages each.
fn service(tls: Tls, options: SimOptions) -> (Simulator, Place) {
    let catalog = grid(16, 16);
    let place = Place::with_catalog(&catalog);
    let sim = Simulator::start(SimOptions { catalog, entries: 12_000, drivers: 2000, tls: Some(tls), ..options });
    (sim.unwrap(), place)
}

/// A loader that trusts the service.
fn loader(place: &Place, sim: &Simulator) -> Invocation {
    place.loader(&sim.base_url()).variable("SSL_CERT_FILE", &place.authority(sim))
}

/// What the service counted, once it has seen that no connection is open.
fn at_the_end(sim: &Simulator) -> Stats {
    until("no connection is open", || sim.stats().connections_open == 0);
    sim.stats()
}

/// Loads all boards; every field of every entry has to be in the index.
fn load_all(tls: Tls, most_connections: u64) -> Stats {
    let (sim, place) = service(tls, SimOptions { nameless_rate: 0.002, ..SimOptions::default() });
    let ended = loader(&place, &sim).run().with_code(0);
    let stats = at_the_end(&sim);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    let entries: usize = board_files(&place.cache()).values().map(|board| board.entries.len()).sum();
    assert_eq!((ended.boards("fetched"), entries), (256, 12_000));
    let of_boards = stats.listing_requests + stats.page_requests;
    assert_eq!((stats.distinct_boards, stats.ratings_requests, stats.requests), (256, 1, of_boards + 1));
    assert!(stats.connections_accepted <= most_connections, "{stats:?}");
    assert_eq!((stats.tls_handshakes, stats.tls_handshakes_failed), (stats.connections_accepted, 0));
    assert!(stats.in_flight_peak <= CONCURRENCY, "{stats:?}");
    stats
}

#[test]
fn all_boards_arrive_over_http1_on_as_many_connections_as_there_are_requests_at_once() {
    let stats = load_all(Tls::Http1, CONCURRENCY + 2);
    assert_eq!((stats.http2_connections, stats.http2_streams), (0, 0));
}

#[test]
fn all_boards_arrive_over_http2_on_a_connection_or_two() {
    let stats = load_all(Tls::Http2, 2);
    assert_eq!((stats.http2_connections, stats.http2_streams), (stats.connections_accepted, stats.requests));
}

#[test]
fn a_refresh_prefers_http2_and_rewrites_changed_boards() {
    let (sim, place) = service(Tls::Both, SimOptions::default());
    let _ended = loader(&place, &sim).run().with_code(0);
    let filled: Vec<_> = sim.world().boards().filter(|it| !it.is_empty()).map(|it| it.combination()).collect();
    let changed: Vec<_> = filled.into_iter().step_by(5).collect();
    for &board in &changed {
        sim.change_board(board).unwrap();
    }
    let refresher = place.refresher(&sim.base_url(), &["full"]).variable("SSL_CERT_FILE", &place.authority(&sim));
    let ended = refresher.run().with_code(0);
    assert_eq!(ended.boards("changed"), changed.len() as u64);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    let stats = at_the_end(&sim);
    assert!(stats.connections_accepted <= 4 && stats.http2_streams == stats.requests, "{stats:?}");
}

#[test]
fn streams_that_are_reset_and_connections_that_close_lose_nothing() {
    for tls in [Tls::Http1, Tls::Http2] {
        let passing = [FaultKind::CloseBefore, FaultKind::CutLength, FaultKind::CutChunked, FaultKind::Unavailable];
        let rates = passing.into_iter().map(|kind| (kind, 0.05)).collect();
        let faults = Faults { rates, retry_after: Duration::ZERO, ..Faults::default() };
        let (sim, place) = service(tls, SimOptions { faults, ..SimOptions::default() });
        // A connection that closes takes the other requests on it with it.
        let ended =
            loader(&place, &sim).set("upstream.page_size", "50").set("upstream.attempts", "12").run().with_code(0);
        let stats = at_the_end(&sim);
        assert_eq!((ended.boards("failed"), stats.faults.len()), (0, passing.len()), "{tls:?}");
        assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    }
}

#[test]
fn a_connection_that_goes_silent_is_replaced() {
    for tls in [Tls::Http1, Tls::Http2] {
        let (sim, place) = service(tls, SimOptions { silent_after: Some(60), ..SimOptions::default() });
        let ended = loader(&place, &sim).set("upstream.timeout", "4s").run().with_code(0);
        let stats = at_the_end(&sim);
        // All requests that waited for it may open one, until the first is known to speak HTTP/2.
        assert!((2..=CONCURRENCY + 2).contains(&stats.connections_accepted), "{tls:?}: {stats:?}");
        assert_eq!(ended.boards("failed"), 0, "{tls:?}");
        assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    }
}

#[test]
fn a_connection_that_answers_only_pings_is_replaced() {
    let (sim, place) = service(Tls::Http2, SimOptions { silent_streams_after: Some(60), ..SimOptions::default() });
    let ended = loader(&place, &sim).set("upstream.timeout", "2s").run().with_code(0);
    let stats = at_the_end(&sim);
    // As above: each of the requests that moved over may open one.
    assert!((2..=CONCURRENCY + 2).contains(&stats.connections_accepted), "{stats:?}");
    assert_eq!(ended.boards("failed"), 0);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}
