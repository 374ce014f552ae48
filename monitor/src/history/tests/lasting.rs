//! What a history outlasts: clocks that are wrong, a file that is moved or damaged, and processes of the same number.

use std::time::Duration;

use r3e_common::runtime::exit::{Exit, Fatal as _};

use super::*;

const DAY_MS: i64 = 86_400_000;

/// Opens the history, and writes and drops as a watch does by that clock.
fn watched(path: &std::path::Path, clock_ms: i64) -> Writer {
    let mut writer = Writer::open(path).unwrap();
    writer.add(&[batch(clock_ms, vec![sample(1, 10)])]).unwrap();
    writer.drop_old(clock_ms, Duration::from_hours(24 * 90), 100).unwrap();
    writer
}

#[test]
fn a_start_with_a_clock_far_ahead_drops_nothing_however_often() {
    let (_folder, path) = place();
    for day in 0..10 {
        drop(watched(&path, STARTED_MS + day * DAY_MS));
    }
    for ahead in [400, 400, 4000] {
        drop(watched(&path, STARTED_MS + (10 + ahead) * DAY_MS));
    }
    drop(watched(&path, 0));
    let _writer = watched(&path, STARTED_MS + 11 * DAY_MS);
    // Two were at the same moment, and the one of 1970 is old.
    assert_eq!(count(&path, "samples"), 10 + 2 + 1);
}

#[test]
fn a_history_of_an_earlier_version_is_judged_by_its_newest_sample() {
    let (_folder, path) = place();
    drop(watched(&path, STARTED_MS));
    Connection::open(&path).unwrap().execute_batch("DELETE FROM age").unwrap();
    drop(watched(&path, STARTED_MS + 400 * DAY_MS));
    assert_eq!(count(&path, "samples"), 2);
    // As long as there is nothing that could be lost, the clock is believed.
    Connection::open(&path).unwrap().execute_batch("DELETE FROM age; DELETE FROM samples").unwrap();
    let mut writer = Writer::open(&path).unwrap();
    writer.import(&[&Run { ended_ms: STARTED_MS, ..run("done") }]).unwrap();
    writer.drop_old(STARTED_MS + 400 * DAY_MS, Duration::from_hours(24 * 90), 100).unwrap();
    assert_eq!(count(&path, "runs"), 0);
}

#[test]
fn a_history_that_was_moved_is_noticed_and_left_whole() {
    let (folder, path) = place();
    let mut writer = Writer::open(&path).unwrap();
    writer.add(&[batch(1, vec![sample(1, 10)])]).unwrap();
    assert!(writer.is_in_place().unwrap());
    let moved = folder.path().join("moved.db");
    std::fs::rename(&path, &moved).unwrap();
    assert!(!writer.is_in_place().unwrap());
    writer.close_moved().unwrap();
    assert_eq!(count(&moved, "samples"), 1, "also what was in its log");

    // Another one stands there, brought back from elsewhere.
    let mut writer = Writer::open(&path).unwrap();
    writer.add(&[batch(1, vec![sample(1, 10)]), batch(2, vec![sample(1, 10)])]).unwrap();
    std::fs::rename(&moved, &path).unwrap();
    assert!(!writer.is_in_place().unwrap());
    writer.close_moved().unwrap();
    let mut writer = Writer::open(&path).unwrap();
    assert!(writer.is_in_place().unwrap());
    writer.add(&[batch(3, vec![sample(1, 10)])]).unwrap();
    drop(writer);
    let check: String =
        Connection::open(&path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!((check.as_str(), count(&path, "samples")), ("ok", 2), "none of the other one's");
}

#[test]
fn a_damaged_history_is_moved_aside_whole_and_every_time_by_another_name() {
    let (_folder, path) = place();
    let with = |suffix: &str| std::path::PathBuf::from(format!("{}{suffix}", path.display()));
    for name in [".damaged", ".damaged.1"] {
        let mut writer = Writer::open(&path).unwrap();
        writer.add(&[batch(1, vec![sample(1, 10)])]).unwrap();
        drop(writer);
        let mut bytes = std::fs::read(&path).unwrap();
        for page in bytes.chunks_mut(4096).skip(1) {
            page.fill(0x5a);
        }
        std::fs::write(&path, &bytes).unwrap();
        std::fs::write(with("-wal"), "log").unwrap();
        let error = Writer::open(&path).and_then(|mut it| it.add(&[batch(2, vec![sample(1, 10)])])).unwrap_err();
        assert!(error.is_damage() && error.exit().code() == 74, "{error}");
        std::fs::write(&path, &bytes).unwrap();
        std::fs::write(with("-wal"), "log").unwrap();
        assert_eq!(set_aside(&path).unwrap(), Some(with(name)));
        assert!(!path.exists() && !with("-wal").exists() && !with("-shm").exists());
        assert!(std::fs::read(with(name)).unwrap() == bytes);
        assert_eq!(std::fs::read(with(&format!("{name}-wal"))).unwrap(), b"log");
    }
    std::fs::write(&path, "a text of someone's").unwrap();
    assert_eq!(set_aside(&path).unwrap(), None);
    assert!(path.exists());
}

#[test]
fn equal_process_ids_in_two_containers_are_two_processes() {
    let (_folder, path) = place();
    let mut writer = Writer::open(&path).unwrap();
    let reader = Reader::open(&path).unwrap().unwrap();
    let of = |namespace| {
        let mut sample = sample(1, 10 + namespace);
        sample.stats.pid_namespace = Some(namespace);
        sample.after_purge = true;
        sample
    };
    writer.add(&[batch(1, vec![of(5), of(6)])]).unwrap();
    assert_eq!((count(&path, "processes"), count(&path, "samples")), (2, 2));
    let resident = |namespace| {
        let (_, held) = writer.last_purges(&of(namespace), 10).unwrap().unwrap();
        held.moments[0].figures.of(Figure::Resident)
    };
    assert_eq!((resident(5), resident(6)), (15, 16));

    // One of them ends, and says so; the other one answers.
    let record = |namespace| Run { pid: 1, pid_namespace: namespace, ..run("done") };
    writer.import(&[&record(5)]).unwrap();
    assert!(writer.conclude(&batch(2, vec![of(6)])).unwrap().is_empty(), "the one has told, the other is alive");
    let noted = writer.conclude(&batch(3, vec![of(5)])).unwrap();
    assert_eq!(noted.iter().map(|it| it.pid_namespace).collect::<Vec<_>>(), [6]);
    assert_eq!(reader.runs(10).unwrap().len(), 2);
    // Two that ended in the same way at the same time are two runs.
    writer.import(&[&record(7), &record(8)]).unwrap();
    assert_eq!(reader.runs(10).unwrap().len(), 4);
}

#[test]
fn a_history_that_a_watch_of_an_earlier_version_keeps_is_not_changed_under_it() {
    let (_folder, path) = place();
    let older = schema::open_with_steps(&path, &schema::STEPS[..2]).unwrap();
    let lock = std::fs::File::create(schema::lock_path(&path)).unwrap();
    lock.lock().unwrap();
    let refused = schema::open_to_read(&path).unwrap_err();
    assert!(matches!(refused, HistoryError::KeptByOlder { .. }), "{refused}");
    assert_eq!((refused.exit(), count(&path, "processes")), (Exit::TryAgain, 0));
    drop((older, lock));
    assert!(schema::open_to_read(&path).unwrap().is_some());
}
