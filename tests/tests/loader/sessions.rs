//! Expiring sessions, and different ways of setting cookies: no board fails because of either.

use r3e_tests::harness::{Differences, Ended, Place, assert_serves, driver_index, grid};
use r3e_tests::sim::{Cookies, SessionEnd, SimOptions, Simulator, Stats};

/// Loads 144 boards, none of which may fail.
fn load(concurrency: u32, options: SimOptions) -> (Ended, Stats) {
    let catalog = grid(12, 12);
    let place = Place::with_catalog(&catalog);
    let sim = Simulator::start(SimOptions { catalog, entries: 2000, drivers: 300, ..options }).unwrap();
    let loader = place.loader(&sim.base_url()).set("upstream.concurrency", &concurrency.to_string());
    let ended = loader.set("upstream.attempts", "2").run().with_code(0);
    assert_eq!((ended.boards("fetched"), ended.boards("retried")), (144, 0));
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    (ended, sim.stats())
}

#[test]
fn an_expired_session_is_replaced_once_however_the_service_reports_it() {
    for session_end in [SessionEnd::Unauthorized, SessionEnd::Redirect, SessionEnd::LoginPage, SessionEnd::Json] {
        let (ended, stats) = load(4, SimOptions { session_requests: Some(40), session_end, ..SimOptions::default() });
        assert_eq!(stats.page_requests, 4, "{session_end:?}: {stats:?}");
        // The listings in flight when it ended are asked for again, and nothing else is.
        assert!((3..=3 * 4).contains(&stats.with_ended_session), "{session_end:?}: {stats:?}");
        assert_eq!(ended.json()["requests"]["retries"], stats.with_ended_session);
    }
}

#[test]
fn of_two_cookies_with_one_name_the_later_is_sent_and_an_expired_one_is_not() {
    for cookies in [Cookies::Twice, Cookies::Deleted] {
        let (_, stats) = load(4, SimOptions { cookies, ..SimOptions::default() });
        assert_eq!((stats.page_requests, stats.with_replaced_cookie), (1, 0), "{cookies:?}: {stats:?}");
        assert_eq!((stats.without_session, stats.with_ended_session), (0, 0), "{cookies:?}: {stats:?}");
    }
}

#[test]
fn a_cookie_that_a_listing_sets_is_sent_with_the_next() {
    let (_, stats) = load(1, SimOptions { cookies: Cookies::Rotating, ..SimOptions::default() });
    assert_eq!((stats.page_requests, stats.with_replaced_cookie), (1, 0), "{stats:?}");
}
