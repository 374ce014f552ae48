//! The archive on an S3 server: the same as in a folder, even if requests fail; and errors that say which setting is wrong.
#![allow(clippy::disallowed_methods, reason = "tests look at the disk without the program's own code")]
#![allow(clippy::unwrap_used, reason = "all of this file is tests")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::moto::{Moto, on_s3};
use support::proxy::{Faults, Proxy};
use support::{Boards, Place, World, kills, night_time, shown, verify};

/// Faults that differ from test to test.
fn some(seed: u64) -> Faults {
    Faults::Some { percent: 15, seed }
}

fn recordings_are_killed(test: &str, kills: u32) {
    let Some(moto) = Moto::start(test) else { return };
    let proxy = Proxy::start(moto.port, some(11));
    kills::recordings_are_killed(&proxy.place(), kills);
    proxy.assert_all_kinds_happened();
}

fn compactions_are_killed(test: &str, nights: i64, kills: u32) {
    let Some(moto) = Moto::start(test) else { return };
    let proxy = Proxy::start(moto.port, some(12));
    kills::compactions_are_killed(&proxy.place(), nights, kills);
    proxy.assert_all_kinds_happened();
}

#[test]
fn recordings_that_are_killed_lose_and_double_nothing() {
    recordings_are_killed("recordings_that_are_killed_lose_and_double_nothing", 20);
}

#[test]
fn compactions_that_are_killed_lose_and_double_nothing() {
    compactions_are_killed("compactions_that_are_killed_lose_and_double_nothing", 12, 20);
}

#[test]
#[ignore = "takes minutes"]
fn recordings_that_are_killed_100_times_lose_and_double_nothing() {
    recordings_are_killed("recordings_that_are_killed_100_times_lose_and_double_nothing", 100);
}

#[test]
#[ignore = "takes minutes"]
fn compactions_that_are_killed_100_times_lose_and_double_nothing() {
    compactions_are_killed("compactions_that_are_killed_100_times_lose_and_double_nothing", 60, 100);
}

#[test]
fn of_recordings_at_the_same_time_one_counts() {
    let Some(moto) = Moto::start("of_recordings_at_the_same_time_one_counts") else { return };
    let proxy = Proxy::start(moto.port, some(13));
    kills::recordings_at_the_same_time(&proxy.place(), 10);
    proxy.assert_all_kinds_happened();
}

#[test]
fn of_compactions_at_the_same_time_one_counts() {
    let Some(moto) = Moto::start("of_compactions_at_the_same_time_one_counts") else { return };
    let place = moto.place();
    let mut world = World::new(14, 10);
    // In two months.
    for night in (1..40).step_by(4) {
        place.publish(&world.boards);
        place.record(&night_time(night));
        world.night();
    }
    let before = kills::recorded(&place);
    let mut running: Vec<_> = (0..3).map(|_| place.archive(&["compact", "--keep", "0s"]).spawn().unwrap()).collect();
    for child in &mut running {
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(0 | 75)), "{code:?}");
    }
    place.run(&["compact", "--keep", "0s"]);
    assert_eq!(kills::recorded(&place), before);
    verify(&place);
}

#[test]
fn what_is_restored_is_what_stood() {
    let Some(moto) = Moto::start("what_is_restored_is_what_stood") else { return };
    let proxy = Proxy::start(moto.port, some(15));
    let place = proxy.place();
    let (mut world, mut nights) = (World::new(15, 25), Vec::new());
    for night in 1..=12 {
        place.publish(&world.boards);
        place.record(&night_time(night));
        nights.push(world.boards.clone());
        world.night();
    }
    for into in ["before", "after"] {
        for night in [1, 6, 12] {
            let folder = format!("{into}-{night}");
            place.json(&["restore", "--at", &night_time(night), "--into", &folder]);
            assert_eq!(published(&place, &folder), nights[usize::try_from(night).unwrap() - 1], "{folder}");
        }
        place.run(&["compact", "--keep", "0s"]);
    }
    // Damage is not found where requests fail only.
    verify(&place);
    proxy.assert_all_kinds_happened();
}

/// The boards of a restored cache.
fn published(place: &Place, folder: &str) -> Boards {
    let cache = r3e_common::store::Cache::new(&place.path(folder));
    let catalog = r3e_common::domain::Catalog::builtin();
    let read = catalog.combinations().filter_map(|board| {
        let mut entries = Entries(Vec::new());
        let mut buffers = r3e_common::store::Buffers::default();
        let found = cache.read_within(board, &mut buffers, usize::MAX, &mut entries).unwrap();
        matches!(found, r3e_common::store::Within::Board { .. }).then_some((board, entries.0))
    });
    read.collect()
}

struct Entries(Vec<Value>);

impl<'a> r3e_common::store::Entries<'a> for Entries {
    type Entry = &'a serde_json::value::RawValue;

    fn restart(&mut self) {
        self.0.clear();
    }

    fn entry(&mut self, entry: &'a serde_json::value::RawValue) {
        self.0.push(serde_json::from_str(entry.get()).unwrap());
    }
}

/// The longest that a store which cannot be used is asked.
const GIVES_UP_WITHIN: Duration = Duration::from_mins(1);

/// Runs a command that must fail, soon, with this exit code and a message with these words.
fn assert_fails(place: &Place, arguments: &[&str], exit: i32, words: &[&str]) {
    let begun = Instant::now();
    let output = place.archive(arguments).output().unwrap();
    let took = begun.elapsed();
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{arguments:?}: expected {word} in {text}");
    }
    assert!(took < GIVES_UP_WITHIN, "{arguments:?} took {took:?}");
}

/// Commands of each kind: one that reads, one that appends, one that merges.
const COMMANDS: [&[&str]; 4] = [&["stats"], &["record"], &["compact"], &["verify"]];

#[test]
fn a_wrong_bucket_is_an_error_of_the_configuration() {
    let Some(moto) = Moto::start("a_wrong_bucket_is_an_error_of_the_configuration") else { return };
    let mut place = moto.place();
    place.archive = "s3://board/some/r3e".to_owned();
    for command in COMMANDS {
        assert_fails(&place, command, 78, &["NoSuchBucket", "s3://board/some/r3e"]);
    }
}

#[test]
fn keys_and_clocks_that_are_wrong_are_errors_of_the_configuration() {
    for (code, word) in [
        ("InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        ("RequestTimeTooSkewed", "clock"),
        ("AccessDenied", "key"),
        ("ExpiredToken", "AWS_SESSION_TOKEN"),
        ("AuthorizationHeaderMalformed", "AWS_REGION"),
    ] {
        // No server is behind it: all is refused.
        let place = on_s3(Proxy::start(0, Faults::Refused(code)).port);
        for command in COMMANDS {
            assert_fails(&place, command, 78, &[code, word]);
        }
    }
}

#[test]
fn variables_that_are_missing_are_errors_of_the_configuration() {
    let place = |without: &[&str]| {
        let mut place = on_s3(1);
        place.variables.retain(|(name, _)| !without.contains(&name.as_str()));
        place
    };
    let (id, secret) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
    assert_fails(&place(&[id, secret]), &["stats"], 78, &[id, secret]);
    assert_fails(&place(&[id]), &["stats"], 78, &[id]);
    assert_fails(&place(&[secret]), &["stats"], 78, &[secret]);
}

#[test]
fn an_endpoint_that_refuses_connections_is_unavailable() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_fails(&on_s3(unused), &["stats"], 69, &[&format!("127.0.0.1:{unused}")]);
}

#[test]
fn plain_http_is_for_this_machine_unless_it_is_allowed() {
    let mut place = on_s3(1);
    place.variables[0].1 = "http://storage.example:9000".to_owned();
    assert_fails(&place, &["stats"], 78, &["AWS_ALLOW_HTTP"]);
}

#[test]
fn a_store_that_fails_in_the_middle_is_no_damage() {
    let Some(moto) = Moto::start("a_store_that_fails_in_the_middle_is_no_damage") else { return };
    let place = moto.place();
    place.publish(&World::new(16, 25).boards);
    place.record(&night_time(1));
    // Without retries enough, each of these fails at some requests.
    let proxy = Proxy::start(moto.port, Faults::Some { percent: 95, seed: 16 });
    let unreliable = proxy.place();
    for command in [&["verify"][..], &["sql", "SELECT count(*), max(name) FROM entries"]] {
        let output = unreliable.archive(command).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 69)), "{command:?}: {}", shown(&output));
    }
    assert_eq!(place.json(&["verify"])["damage"], json!([]));
}
