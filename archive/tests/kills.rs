//! No version is lost, doubled or half, whatever is killed when, and whoever else records.

mod support;

use support::{Place, kills};

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
