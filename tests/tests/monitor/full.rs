//! A full disk is reported, the watch keeps running, and no record of a finished job is lost.

use std::fs;

use r3e_tests::harness::{Place, SmallDisk, until};

use crate::place::{busy_watch, errors, history, leave_record, log, logged, purges, sound_history, waiting};

/// Fills a disk to its last byte.
fn fill(disk: &SmallDisk) {
    let bytes = vec![1; 64 << 20];
    // It takes what there is.
    let error = fs::write(disk.path().join("filler"), &bytes).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

fn make_room(disk: &SmallDisk) {
    fs::remove_file(disk.path().join("filler")).unwrap();
}

const ERRORS: [&str; 2] = ["database or disk is full", "No space left"];

#[test]
fn a_full_disk_is_reported_once_and_the_watch_continues() {
    let place = Place::new();
    let Some(disk) = SmallDisk::mount_at(history(&place).parent().unwrap(), 32 << 10) else { return };
    let mut running = logged(busy_watch(&place));
    leave_record(&place, 0);
    until("the first run is in the history", || waiting(&place) == 0);
    let mut number = 0;
    for round in 1..=2 {
        fill(&disk);
        // What the log of the database gives free when it is closed takes some more; then nothing fits any more.
        until("nothing fits", || {
            while waiting(&place) < 50 {
                number += 1;
                leave_record(&place, number);
            }
            let (told, purged) = (errors(&place), purges(&place));
            until("it goes on purging", || purges(&place) > purged + 10);
            waiting(&place) >= 50 && errors(&place) == told && told >= round
        });
        let said = log(&place);
        assert!(ERRORS.iter().any(|it| said.contains(it)) && said.contains("monitor.db"), "{said}");
        assert!(!running.has_ended(), "{said}");

        make_room(&disk);
        until("what waited is taken in", || waiting(&place) == 0);
        // It has tried hundreds of times.
        assert!(errors(&place) <= 10 * round, "logged once, not in a loop: {}", log(&place));
    }
    running.signal("TERM");
    let _ended = running.wait().with_code(0);
    assert!(log(&place).contains("⏹️ Memory monitoring stopped"), "{}", log(&place));
    let runs = sound_history(&place);
    assert_eq!(runs, (0..=number).collect::<Vec<_>>());
}

#[test]
fn a_disk_that_is_full_from_the_beginning_is_waited_for() {
    let place = Place::new();
    let Some(disk) = SmallDisk::mount_at(history(&place).parent().unwrap(), 256) else { return };
    fill(&disk);
    leave_record(&place, 1);
    let running = logged(busy_watch(&place));
    until("it is at work all the same", || errors(&place) > 0 && purges(&place) > 10);
    assert_eq!(waiting(&place), 1);
    make_room(&disk);
    until("there is a history", || waiting(&place) == 0);
    running.signal("INT");
    let _ended = running.wait().with_code(0);
    assert_eq!(sound_history(&place), [1]);
}
