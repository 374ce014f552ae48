//! What a watch survives: its history is moved, replaced, damaged, or not writable.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use r3e_tests::harness::{Place, Running, events_with, until};
use rusqlite::{Connection, OpenFlags};

use crate::place::{busy_watch, errors, history, leave_record, log, logged, purges, sound_history, stopped, waiting};

/// How many samples that file has; none where it is no history yet.
fn samples(file: &Path) -> i64 {
    let open = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let count = open.and_then(|it| it.query_row("SELECT count(*) FROM samples", [], |row| row.get(0)));
    count.unwrap_or(0)
}

fn beside(place: &Place, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", history(place).display()))
}

/// How often it was logged that the history was moved or replaced.
fn replacements(place: &Place) -> usize {
    events_with(&log(place), &["history"]).iter().filter(|it| it.level == "WARN").count()
}

/// A watch at work, and a run in its history.
fn at_work(place: &Place) -> Running {
    leave_record(place, 1);
    let running = logged(busy_watch(place));
    until("it has sampled", || waiting(place) == 0 && samples(&history(place)) > 10);
    running
}

#[test]
fn a_history_that_is_moved_away_and_brought_back_is_noticed() {
    let place = Place::new();
    let running = at_work(&place);
    let moved = beside(&place, ".moved");
    let noticed = |times| {
        until("it is noticed", || replacements(&place) == times);
    };
    fs::rename(history(&place), &moved).unwrap();
    noticed(1);
    until("a new one is begun", || samples(&history(&place)) > 10);
    let kept = samples(&moved);
    assert!(kept > 10);
    leave_record(&place, 2);
    until("the second run is taken in", || waiting(&place) == 0);

    fs::rename(&moved, history(&place)).unwrap();
    noticed(2);
    until("it goes on there", || samples(&history(&place)) > kept);
    fs::remove_file(history(&place)).unwrap();
    noticed(3);
    until("a third one is begun", || samples(&history(&place)) > 10);
    stopped(running);
    assert_eq!(errors(&place), 0, "{}", log(&place));
    assert_eq!(sound_history(&place), Vec::<u32>::new());
}

#[test]
fn a_restored_history_is_valid_and_complete() {
    let place = Place::new();
    stopped(at_work(&place));
    let backup = beside(&place, ".backup");
    fs::copy(history(&place), &backup).unwrap();
    fs::remove_file(place.path("log")).unwrap();
    let running = at_work(&place);
    fs::rename(&backup, history(&place)).unwrap();
    until("it is noticed", || replacements(&place) > 0);
    leave_record(&place, 3);
    until("a run is taken in", || waiting(&place) == 0);
    stopped(running);
    assert_eq!(sound_history(&place), [1, 3]);
}

/// Damages a history in some way.
type Damage = fn(&fs::File, u64);

#[test]
fn a_damaged_history_is_moved_aside_and_a_new_one_started() {
    let damages: [(&str, Damage); 3] = [
        ("its pages are something else", |file, bytes| {
            for page in 1..bytes / 4096 {
                file.write_all_at(&[0x5a; 4096], page * 4096).unwrap();
            }
        }),
        ("it is cut off", |file, bytes| file.set_len(bytes / 4096 / 2 * 4096).unwrap()),
        ("its beginning is zeros", |file, _| file.write_all_at(&[0; 4096], 0).unwrap()),
    ];
    for (what, damage) in damages {
        let place = Place::new();
        stopped(at_work(&place));
        let file = fs::File::options().write(true).open(history(&place)).unwrap();
        damage(&file, file.metadata().unwrap().len());
        drop(file);
        let was = fs::read(history(&place)).unwrap();
        fs::remove_file(place.path("log")).unwrap();
        leave_record(&place, 2);
        let running = logged(busy_watch(&place));
        until(&format!("{what}: a new one is begun"), || waiting(&place) == 0 && samples(&history(&place)) > 10);
        stopped(running);
        assert!(fs::read(beside(&place, ".damaged")).unwrap() == was, "{what}: what was there is kept");
        let [moved] = events_with(&log(&place), &["moved_to"]).try_into().unwrap();
        assert!(moved.level == "ERROR" && moved.names("monitor.db.damaged"), "{what}: {moved:?}");
        assert_eq!(sound_history(&place), [2], "{what}");
    }
}

#[test]
fn a_file_that_is_no_history_is_left_alone_and_waited_for() {
    let place = Place::new();
    fs::create_dir_all(history(&place).parent().unwrap()).unwrap();
    let text = "someone's notes, which are long enough to be taken for a database\n".repeat(100);
    fs::write(history(&place), &text).unwrap();
    leave_record(&place, 1);
    let running = logged(busy_watch(&place));
    until("it says so and goes on", || errors(&place) > 0 && purges(&place) > 10);
    assert_eq!((fs::read_to_string(history(&place)).unwrap(), waiting(&place)), (text, 1));
    fs::remove_file(history(&place)).unwrap();
    until("there is a history", || waiting(&place) == 0);
    stopped(running);
    assert_eq!(errors(&place), 1, "logged once: {}", log(&place));
    assert!(!events_with(&log(&place), &["lost"]).is_empty(), "samples were lost: {}", log(&place));
    assert_eq!(sound_history(&place), [1]);
}

#[test]
fn a_watch_without_write_permission_continues_and_waits() {
    let place = Place::new();
    stopped(at_work(&place));
    fs::remove_file(place.path("log")).unwrap();
    // Root may write where others may not; where there is no folder nobody can.
    let (folder, away) = (history(&place).parent().unwrap().to_owned(), place.path("away"));
    fs::rename(&folder, &away).unwrap();
    fs::write(&folder, "").unwrap();
    leave_record(&place, 2);
    let running = logged(busy_watch(&place));
    until("it says so and goes on", || errors(&place) > 0 && purges(&place) > 10);
    assert_eq!(waiting(&place), 1);
    // Atomically: otherwise the watch would create its own folder in between.
    renameat2(AT_FDCWD, &away, AT_FDCWD, &folder, RenameFlags::RENAME_EXCHANGE).unwrap();
    until("it writes again", || waiting(&place) == 0);
    stopped(running);
    assert_eq!(sound_history(&place), [1, 2]);
}
