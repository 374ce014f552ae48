//! Recordings and compactions that are killed or run at the same time, against a model of what the archive must have.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use r3e_common::domain::Combination;
use serde_json::Value;

use super::{Boards, Place, World, night_time, verify};

/// What the archive must have: the versions of each board, with the number of entries, `None` while it is gone.
pub type History = BTreeMap<Combination, Vec<Option<usize>>>;

/// Adds what a recording of these boards must add.
pub fn append(history: &mut History, before: &Boards, now: &Boards) {
    let all: BTreeSet<Combination> = before.keys().chain(now.keys()).copied().collect();
    for board in all {
        if before.get(&board) != now.get(&board) {
            history.entry(board).or_default().push(now.get(&board).map(Vec::len));
        }
    }
}

/// Compares the versions board by board, so that a difference can be read.
pub fn assert_recorded(place: &Place, history: &History) {
    let recorded = recorded(place);
    for board in recorded.keys().chain(history.keys()) {
        assert_eq!(recorded.get(board), history.get(board), "{board}");
    }
}

/// The versions that the archive has.
pub fn recorded(place: &Place) -> History {
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
    let mut child = place.archive(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
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

/// Moment `kill` of `kills`, spread over a little more than the usual time, in no order.
fn moment(kill: u32, kills: u32, usual: Duration) -> Duration {
    usual * (kill * 37 % kills) * 11 / 10 / kills
}

/// Recordings that are killed lose and double nothing.
pub fn recordings_are_killed(place: &Place, kills: u32) {
    let mut world = World::new(7, 25);
    let (mut history, mut before) = (History::new(), Boards::new());
    place.publish(&world.boards);
    let usual = took(|| drop(place.record(&night_time(1))));
    append(&mut history, &before, &world.boards);
    for kill in 1..=kills {
        before = world.boards.clone();
        world.night();
        place.publish(&world.boards);
        append(&mut history, &before, &world.boards);
        let time = night_time(1 + i64::from(kill));
        kill_after(place, &["record", "--at", &time], moment(kill, kills, usual));
        // Whether that was before or after it counted, the next one completes it.
        place.record(&time);
    }
    assert_recorded(place, &history);
    verify(place);
}

/// Of recordings at the same time, on both sides of midnight, one counts.
pub fn recordings_at_the_same_time(place: &Place, nights: u32) {
    let mut world = World::new(8, 25);
    let (mut history, mut before) = (History::new(), Boards::new());
    for night in 1..=nights {
        place.publish(&world.boards);
        append(&mut history, &before, &world.boards);
        before = world.boards.clone();
        let times = [format!("2026-10-{night:02}T23:59:59.9Z"), format!("2026-10-{:02}T00:00:00.1Z", night + 1)];
        let mut running: Vec<_> =
            times.iter().map(|it| place.archive(&["record", "--at", it]).spawn().unwrap()).collect();
        for child in &mut running {
            let status = child.wait().unwrap();
            assert!(status.success() || place.may_fail(status), "{status}");
        }
        if place.unreliable {
            // Completes what both may have failed to do.
            place.record(&times[1]);
        }
        world.night();
    }
    assert_recorded(place, &history);
    verify(place);
}

/// Compactions that are killed lose and double nothing.
pub fn compactions_are_killed(place: &Place, nights: i64, kills: u32) {
    let mut world = World::new(9, 25);
    for night in 1..=nights {
        place.publish(&world.boards);
        place.record(&night_time(night));
        world.night();
    }
    let before = recorded(place);
    let entries =
        |place: &Place| -> Vec<Value> { place.sql("SELECT count(*) AS rows, sum(laptime_ms) AS laps FROM entries") };
    let rows = entries(place);
    // A query opens the same files.
    let usual = took(|| drop(entries(place)));
    for kill in 0..kills {
        kill_after(place, &["compact", "--keep", "0s"], usual * 2 * kill / kills);
        if kill % 10 == 0 {
            assert_recorded(place, &before);
            assert_eq!(entries(place), rows, "after kill {kill}");
            verify(place);
        }
    }
    place.run(&["compact", "--keep", "0s"]);
    assert_recorded(place, &before);
    assert_eq!(entries(place), rows);
    verify(place);
    let files = place.json(&["stats", "--files"]);
    let months = files.as_array().unwrap().iter().filter(|it| it.as_str().unwrap().contains("/month=")).count();
    assert_eq!(i64::try_from(months).unwrap(), nights.div_euclid(30).max(1), "{files}");
}
