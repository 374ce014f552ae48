//! No version is lost, doubled or half, whatever is killed when, and whoever else records.
#![allow(clippy::disallowed_methods, reason = "tests look at the disk without the program's own code")]
#![allow(clippy::unwrap_used, reason = "all of this file is tests")]

mod support;

use std::time::Duration;

use r3e_archive::engine::{self, Engine};
use r3e_archive::location::Location;
use r3e_common::runtime::config::ArchiveUrl;
use support::{Place, World, kills, night_time};

#[test]
fn a_file_that_is_removed_under_a_query_is_an_error() {
    let place = Place::new();
    let mut world = World::new(10, 5);
    for night in 1..=2 {
        place.publish(&world.boards);
        place.record(&night_time(night));
        world.night();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let location = Location::new(&ArchiveUrl::Folder(place.archive.clone().into())).unwrap();
        let files = location.files().await.unwrap();
        let here = engine::Place { cluster: None, timeout: Duration::from_mins(1), limit_bytes: None };
        let engine = Engine::open(&location, &files, &here).await.unwrap();
        std::fs::remove_file(location.name(&files.live[0].path)).unwrap();
        assert!(engine.rows("SELECT count(*), max(size) FROM archive_rows").await.is_err());
    });
}

#[test]
fn recordings_that_are_killed_lose_and_double_nothing() {
    kills::recordings_are_killed(&Place::new(), 20);
}

#[test]
#[ignore = "takes minutes"]
fn recordings_that_are_killed_a_hundred_times_lose_and_double_nothing() {
    kills::recordings_are_killed(&Place::new(), 100);
}

#[test]
fn of_recordings_at_the_same_time_one_counts() {
    kills::recordings_at_the_same_time(&Place::new(), 20);
}

#[test]
fn compactions_that_are_killed_lose_and_double_nothing() {
    kills::compactions_are_killed(&Place::new(), 60, 20);
}

#[test]
#[ignore = "takes minutes"]
fn compactions_that_are_killed_a_hundred_times_lose_and_double_nothing() {
    kills::compactions_are_killed(&Place::new(), 60, 100);
}
