//! Missing permissions, tested as a user without root's privileges.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use nix::unistd::Uid;
use r3e_common::domain::Combination;
use r3e_tests::harness::{Invocation, NOBODY, Place, board_file, read_status};
use serde_json::Value;

use super::cells::run_all;
use super::job::JOBS;
use super::world::{World, files};

/// A job that is subject to permissions: if the tests run as root, it runs as `nobody`.
pub(crate) fn asking(job: Invocation) -> Invocation {
    if Uid::effective().is_root() { job.as_user(NOBODY) } else { job }
}

/// Whether the user of [`asking`] may start the programs.
pub(crate) fn can_ask() -> bool {
    // Where it may not look into the folders above, starting is a panic.
    let version = || asking(Invocation::new("r3e-loader", Path::new("/"))).argument("--version").run().code();
    let can_ask = std::panic::catch_unwind(version).is_ok_and(|code| code == Some(0));
    if !can_ask {
        r3e_needs::missing("a folder of the programs that every user may read");
    }
    can_ask
}

/// Whether there can be files of another user than the programs run as.
pub(crate) fn two_users() -> bool {
    let root = Uid::effective().is_root();
    if !root {
        r3e_needs::missing("root, for files and processes of two users");
    }
    root && can_ask()
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn give_to_nobody(place: &Place) {
    let folder = place.path("");
    let mut paths = files(&folder);
    for path in paths.clone() {
        paths.extend(path.ancestors().take_while(|it| it.starts_with(&folder)).map(Path::to_owned));
    }
    for path in paths {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

#[track_caller]
fn assert_denied(text: &str, path: &str) {
    for part in ["Permission denied", path] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

/// Checks that boards have failed, and that the error of each names the denied path.
#[track_caller]
fn assert_failed(place: &Place, path: &str) {
    let failed = failed_boards(place);
    assert!(!failed.is_empty());
    for error in failed.values() {
        assert_denied(error, path);
    }
}

/// The boards that `status.json` lists as failed, and why.
#[track_caller]
pub(crate) fn failed_boards(place: &Place) -> BTreeMap<Combination, String> {
    let status = read_status(&place.cache());
    let failed = status["failed_fetches"].as_array().unwrap();
    assert_eq!(status["failed_fetch_count"], failed.len());
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let board = |row| format!("{}-{}", text(row, "track_id"), text(row, "class_id")).parse().unwrap();
    failed.iter().map(|row| (board(row), text(row, "error"))).collect()
}

#[test]
fn permission_denied() {
    if !can_ask() {
        return;
    }
    let world = World::new();
    let boards: Vec<_> = world.sim.world().catalog().combinations().collect();
    let track = |folder: &str, number: usize| {
        board_file(Path::new(folder), boards[number]).parent().unwrap().to_string_lossy().into_owned()
    };
    let board = board_file(Path::new("cache"), boards[0]).to_string_lossy().into_owned();
    // The first track has a board in staging, the last has none.
    let cases = [
        ("opening", "cache".to_owned(), 0o555, 74),
        ("opening: staging", "cache_temp".to_owned(), 0o555, 74),
        ("opening: status.json", "cache/status.json".to_owned(), 0, 0),
        ("first publication", track("cache", 0), 0o555, 3),
        ("first publication: a board", board, 0, 0),
        ("first publication: the index", "cache/driver_index.json.gz".to_owned(), 0, 0),
        ("fetching", track("cache_temp", 35), 0o555, 3),
        ("promoting", track("cache", 35), 0o555, 3),
    ];
    let cells = cases.iter().flat_map(|case| JOBS.map(|job| (case, job)));
    let cells = cells.filter(|(case, job)| case.0 != "fetching" || !job.writes_through());
    let cells = cells.flat_map(|(case, job)| JOBS.map(|next| (case, job, next)));
    let named = cells.map(|(case, job, next)| (format!("{job:?} in {}, next {next:?}", case.0), (case, job, next)));
    run_all(named, |&((_, path, mode, code), job, next)| {
        let place = world.place();
        let denied = place.path(path);
        if !denied.exists() {
            fs::create_dir_all(&denied).unwrap();
            fs::write(denied.join(".keep"), "").unwrap();
        }
        if Uid::effective().is_root() {
            give_to_nobody(&place);
        }
        set_mode(&denied, *mode);
        let ended = asking(job.at(&place, &world.sim)).run();
        set_mode(&denied, if denied.is_dir() { 0o755 } else { 0o644 });
        let ended = ended.with_code(*code);
        match code {
            74 => assert_denied(&ended.stderr, path),
            3 => assert_failed(&place, path),
            _ => {}
        }
        world.assert_nothing_lost(&place);
        let _next = asking(next.at(&place, &world.sim)).run().with_code(0);
        world.assert_undisturbed(&place);
    });
}
