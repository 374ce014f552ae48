//! No version is lost, doubled or half, whatever is killed when, and whoever else records.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use r3e_common::domain::Combination;
use serde_json::Value;
use support::{Boards, Place, World, night_time, verify};

/// How often each command is killed.
const KILLS: i64 = 100;

/// What the archive must have: the versions of each board, with the number of entries, `None` while it is gone.
type History = BTreeMap<Combination, Vec<Option<usize>>>;

/// Adds what a recording of these boards must add.
fn append(history: &mut History, before: &Boards, now: &Boards) {
    let all: BTreeSet<Combination> = before.keys().chain(now.keys()).copied().collect();
    for board in all {
        if before.get(&board) != now.get(&board) {
            history.entry(board).or_default().push(now.get(&board).map(Vec::len));
        }
    }
}

/// Compares the versions board by board, so that a difference can be read.
fn assert_recorded(place: &Place, history: &History) {
    let recorded = recorded(place);
    for board in recorded.keys().chain(history.keys()) {
        assert_eq!(recorded.get(board), history.get(board), "{board}");
    }
}

/// The versions that the archive has.
fn recorded(place: &Place) -> History {
    let mut history = History::new();
    for row in
        place.sql("SELECT track_id, class_id, size, gone FROM board_versions ORDER BY track_id, class_id, valid_from")
    {
        let board = format!("{}-{}", row["track_id"], row["class_id"]).parse().unwrap();
        let size = usize::try_from(row["size"].as_u64().unwrap()).unwrap();
        history.entry(board).or_default().push((!row["gone"].as_bool().unwrap()).then_some(size));
    }
    history
}

/// Runs a command and kills it after a while, unless it has ended by then.
fn kill_after(place: &Place, arguments: &[&str], after: Duration) {
    let mut child = place
        .archive(arguments)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// How long a command takes, to choose moments within.
fn took(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

#[test]
fn recordings_that_are_killed_lose_and_double_nothing() {
    let place = Place::new();
    let mut world = World::new(7, 25);
    let (mut history, mut before) = (History::new(), Boards::new());
    place.publish(&world.boards);
    let usual = took(|| drop(place.record(&night_time(1))));
    append(&mut history, &before, &world.boards);
    for kill in 1..=KILLS {
        before = world.boards.clone();
        world.night();
        place.publish(&world.boards);
        append(&mut history, &before, &world.boards);
        let time = night_time(1 + kill);
        kill_after(&place, &["record", "--at", &time], usual * u32::try_from(kill * 37 % 110).unwrap() / 100);
        // Whether that was before or after it counted, the next one completes it.
        place.record(&time);
    }
    assert_recorded(&place, &history);
    verify(&place);
}

#[test]
fn of_recordings_at_the_same_time_one_counts() {
    let place = Place::new();
    let mut world = World::new(8, 25);
    let (mut history, mut before) = (History::new(), Boards::new());
    for night in 1..=20 {
        place.publish(&world.boards);
        append(&mut history, &before, &world.boards);
        before = world.boards.clone();
        // Around midnight: both sides of it.
        let times = [format!("2026-10-{night:02}T23:59:59.9Z"), format!("2026-10-{:02}T00:00:00.1Z", night + 1)];
        let mut running: Vec<_> =
            times.iter().map(|it| place.archive(&["record", "--at", it]).spawn().unwrap()).collect();
        for child in &mut running {
            assert!(child.wait().unwrap().success());
        }
        world.night();
    }
    assert_recorded(&place, &history);
    verify(&place);
}

#[test]
fn compactions_that_are_killed_lose_and_double_nothing() {
    let place = Place::new();
    let mut world = World::new(9, 25);
    for night in 1..=60 {
        place.publish(&world.boards);
        place.record(&night_time(night));
        world.night();
    }
    let before = recorded(&place);
    let entries =
        |place: &Place| -> Vec<Value> { place.sql("SELECT count(*) AS rows, sum(laptime_ms) AS laps FROM entries") };
    let rows = entries(&place);
    let usual = Duration::from_millis(400);
    for kill in 0..KILLS {
        kill_after(&place, &["compact", "--keep", "0s"], usual * u32::try_from(kill).unwrap() / 100);
        if kill % 10 == 0 {
            assert_recorded(&place, &before);
            assert_eq!(entries(&place), rows, "after kill {kill}");
            verify(&place);
        }
    }
    place.run(&["compact", "--keep", "0s"]);
    assert_recorded(&place, &before);
    assert_eq!(entries(&place), rows);
    verify(&place);
    let files = place.json(&["stats", "--files"]);
    assert_eq!(
        files.as_array().unwrap().iter().filter(|it| it.as_str().unwrap().contains("/month=")).count(),
        2,
        "{files}"
    );
}
