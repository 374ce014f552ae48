//! How services treat sessions, cookies, page sizes and clients that ask too fast.

use super::raw::{Answer, Client};
use super::socket_tests::{combination, started};
use super::{Cookies, SessionEnd};

/// What the third listing of a session gets that is good for two.
fn ended(session_end: SessionEnd) -> Answer {
    let simulator = started(|it| (it.session_requests, it.session_end) = (Some(2), session_end));
    let mut client = Client::with_session(&simulator);
    let [_, _, third] = [(); 3].map(|()| client.listing(combination("1-3"), 0, 5));
    assert_eq!(simulator.stats().with_ended_session, 1);
    client.make_session();
    assert_eq!(client.listing(combination("1-3"), 0, 5).entries().len(), 5);
    third
}

#[test]
fn a_session_ends_in_each_way_until_the_page_is_asked_for() {
    assert_eq!(ended(SessionEnd::Unauthorized).status, 401);
    let redirect = ended(SessionEnd::Redirect);
    assert_eq!((redirect.status, redirect.header("location")), (302, Some("/account/login")));
    let page = ended(SessionEnd::LoginPage);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("Log in"));
    let json = ended(SessionEnd::Json);
    assert_eq!((json.status, json.text().as_str()), (200, r#"{"error":"Session expired"}"#));
    let simulator = started(|_| {});
    assert_eq!(Client::connect(simulator.addr()).get("/account/login", &[]).text(), page.text());
}

#[test]
fn of_a_cookie_that_is_set_twice_the_later_one_is_to_be_sent() {
    let board = combination("1-3");
    for cookies in [Cookies::Twice, Cookies::Deleted] {
        let simulator = started(|it| it.cookies = cookies);
        let mut client = Client::connect(simulator.addr());
        // This client keeps all cookies, in order.
        let set = client.make_session();
        assert_eq!(client.listing(board, 0, 5).status, 403, "{cookies:?}");
        let later = set.all("set-cookie")[1].split(';').next().unwrap();
        client.cookie = Some(later.to_owned());
        assert_eq!(client.listing(board, 0, 5).status, 200, "{cookies:?}");
        assert_eq!(simulator.stats().with_replaced_cookie, 1);
    }
}

#[test]
fn a_rotating_cookie_comes_with_each_listing() {
    let simulator = started(|it| it.cookies = Cookies::Rotating);
    let mut client = Client::with_session(&simulator);
    for _ in 0..3 {
        let answer = client.listing(combination("1-3"), 0, 5);
        assert_eq!(answer.status, 200);
        assert_eq!(client.listing(combination("1-3"), 0, 5).status, 403);
        client.cookie = answer.header("set-cookie").map(|cookie| cookie.split(';').next().unwrap().to_owned());
    }
    assert_eq!(simulator.stats().with_replaced_cookie, 3);
}

#[test]
fn pages_are_as_short_as_the_service_wants() {
    let simulator = started(|it| it.page_cap = Some(1000));
    let mut client = Client::with_session(&simulator);
    let mut page = |start, count| client.listing(combination("1-1"), start, count).entries().len();
    assert_eq!([page(0, 1500), page(1000, 1500), page(3500, 1500), page(4000, 1500)], [1000, 1000, 500, 0]);
    assert_eq!(page(0, 10), 10);
}

#[test]
fn who_asks_too_fast_is_refused_without_being_told_how_long() {
    // A second request within two hours.
    let simulator = started(|it| it.rate_limit = Some(1.0 / 7200.0));
    let mut client = Client::with_session(&simulator);
    let refused = client.listing(combination("1-3"), 0, 5);
    assert_eq!((refused.status, refused.header("retry-after")), (429, None));
    let stats = simulator.stats();
    assert_eq!((stats.requests, stats.rate_limited, stats.listing_requests), (2, 1, 0));
    assert_eq!(client.get("/__stats", &[]).status, 200);
}

#[test]
fn everything_is_redirected_with_its_path() {
    let simulator = started(|it| it.redirect = Some("https://elsewhere.example/game/".to_owned()));
    let answer = Client::connect(simulator.addr()).get("/leaderboard/?track=1", &[]);
    let location = "https://elsewhere.example/game/leaderboard/?track=1";
    assert_eq!((answer.status, answer.header("location")), (301, Some(location)));
    assert_eq!(simulator.stats().redirected, 1);
}
