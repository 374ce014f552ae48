//! A service that throttles (429), delays (`Retry-After`) or redirects requests.

use std::time::Duration;

use r3e_tests::harness::{Differences, Place, assert_serves, board_files, driver_index, grid};
use r3e_tests::sim::{FaultKind, Faults, SimOptions, Simulator};

fn world(options: SimOptions) -> (Simulator, Place) {
    let catalog = grid(16, 16);
    let place = Place::with_catalog(&catalog);
    (Simulator::start(SimOptions { catalog, entries: 2000, drivers: 300, ..options }).unwrap(), place)
}

#[test]
fn a_service_that_allows_an_eighth_of_the_rate_refuses_few_requests_and_no_board_fails() {
    let (sim, place) = world(SimOptions { rate_limit: Some(40.0), ..SimOptions::default() });
    let ended = place.loader(&sim.base_url()).set("upstream.requests_per_second", "320").run().with_code(0);
    let stats = sim.stats();
    assert_eq!((ended.boards("fetched"), ended.boards("retried")), (256, 0), "{stats:?}");
    assert!(stats.rate_limited > 0 && stats.rate_limited * 5 < stats.requests, "{stats:?}");
    assert!(!ended.events_with(&["requests_per_second", "configured"]).is_empty(), "{}", ended.stderr);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn a_refused_request_costs_none_of_the_attempts() {
    let (sim, place) = world(SimOptions { rate_limit: Some(40.0), ..SimOptions::default() });
    let loader = place.loader(&sim.base_url()).set("upstream.attempts", "1");
    let ended = loader.set("upstream.requests_per_second", "320").run().with_code(0);
    assert_eq!((ended.boards("fetched"), ended.boards("retried")), (256, 0), "{:?}", sim.stats());
    assert!(sim.stats().rate_limited > 0);
}

#[test]
fn a_short_retry_after_is_obeyed_and_a_long_one_ends_the_run() {
    let faults = |retry_after, rate| Faults { retry_after, ..Faults::only(FaultKind::TooManyRequests, rate) };
    let (sim, place) = world(SimOptions { faults: faults(Duration::from_secs(1), 0.02), ..SimOptions::default() });
    let ended = place.loader(&sim.base_url()).set("upstream.attempts", "1").run().with_code(0);
    assert_eq!(ended.boards("retried"), 0);
    assert!(sim.stats().faults[&FaultKind::TooManyRequests] > 0);

    sim.set_faults(faults(Duration::from_secs(u64::MAX), 1.0)).unwrap();
    let ended = place.loader(&sim.base_url()).set("cache.max_age", "0s").run().with_code(69);
    assert!(ended.json()["reason"].as_str().unwrap().contains("1day"), "{}", ended.stdout);
    assert_eq!(board_files(&place.cache()).len(), 256);
}

#[test]
fn a_redirect_of_the_service_is_reported_with_the_setting_to_change() {
    let redirect = Some("https://moved.example".to_owned());
    let (sim, place) = world(SimOptions { redirect, ..SimOptions::default() });
    let ended = place.loader(&sim.base_url()).run().with_code(69);
    let _named = ended.naming(&["301", "https://moved.example/leaderboard/", "upstream.base_url"]);
    assert!(sim.stats().requests <= 16, "{:?}", sim.stats());
}

#[test]
fn a_proxy_for_plain_http_that_refuses_is_named() {
    // The simulator itself, which knows nothing at that address.
    let ((sim, place), (proxy, _)) = (world(SimOptions::default()), world(SimOptions::default()));
    let address = proxy.base_url().replace("http://", "http://me:secret@");
    let upstream = format!("{}/elsewhere", sim.base_url());
    let ended = place.loader(&upstream).variable("http_proxy", &address).run().with_code(69);
    let ended = ended.naming(&["404", &proxy.base_url(), "http_proxy"]);
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    assert_eq!(sim.stats().connections_accepted, 0);
}
