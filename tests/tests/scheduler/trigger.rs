//! The trigger file: noticed, taken, kept while a job is at work, and never lost.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;

use r3e_tests::harness::{Place, until};

use crate::place::{log, logged, started, stopped, trigger, with_told_jobs};

#[test]
fn it_is_noticed_at_once_and_says_what_is_refreshed() {
    let place = Place::new();
    // Nobody looks for it from time to time: it is noticed.
    let jobs = with_told_jobs(&place, &[]).set("schedule.trigger_poll", "10h");
    let running = jobs.set("schedule.load_at_start", "false").spawn();
    until("the cache is watched", || {
        place.cache().is_dir() && !log(&place).is_empty() || place.staging().join(".scheduler.json").exists()
    });
    trigger(&place, "1693 5276-8600\n");
    logged(&place, "the trigger file asks for a refresh of the boards that the trigger file names", 1);
    logged(&place, "has ended: exit 0: done", 1);
    trigger(&place, " \n");
    logged(&place, "the trigger file asks for a refresh of everything", 1);
    logged(&place, "has ended: exit 0: done", 2);
    stopped(&place, running);
    let [boards, full] = started(&place).try_into().unwrap();
    assert!(boards.starts_with("r3e-refresher boards --from=cache/.refresh_now.taken "), "{boards}");
    assert!(full.starts_with("r3e-refresher full "), "{full}");
    assert!(!place.cache().join(".refresh_now.taken").exists() && !place.cache().join("refresh_now").exists());
}

#[test]
fn it_is_found_where_nothing_is_noticed() {
    let place = Place::new();
    trigger(&place, "1693");
    let jobs = with_told_jobs(&place, &[]).set("schedule.trigger_poll", "20ms");
    let running = jobs.set("schedule.load_at_start", "false").spawn();
    logged(&place, "has ended: exit 0: done", 1);
    // The folder is exchanged under it: what the kernel watches is gone.
    fs::rename(place.cache(), place.path("old")).unwrap();
    trigger(&place, "1778");
    logged(&place, "has ended: exit 0: done", 2);
    stopped(&place, running);
}

#[test]
fn while_a_job_is_at_work_it_is_kept_and_what_is_written_late_is_not_lost() {
    let place = Place::new();
    let jobs = with_told_jobs(&place, &["patient", "0", "0", "0"]);
    let running = jobs
        .set("schedule.trigger_poll", "20ms")
        .set("schedule.job_timeout", "2s")
        .set("schedule.attempts", "1")
        .spawn();
    logged(&place, "a word of number 1", 1);
    let path = place.cache().join("refresh_now");
    let mut slow = fs::File::create(&path).unwrap();
    slow.write_all(b"1693\n").unwrap();
    logged(&place, "the load takes too long", 1);
    assert!(path.exists(), "it is kept while the load is at work");
    until("it is taken", || !path.exists());
    slow.write_all(b"1778\n").unwrap();
    fs::write(&path, "5276-8600").unwrap();
    logged(&place, "a word of number 4", 1);
    logged(&place, "has ended: exit 0: done", 3);
    let log = stopped(&place, running);
    assert!(log.contains("the trigger file was added to meanwhile"), "{log}");
    assert_eq!(started(&place).len(), 4);
}

#[test]
fn what_is_no_file_is_refused_once_and_what_follows_is_taken() {
    let place = Place::new();
    fs::create_dir_all(place.cache()).unwrap();
    let path = place.cache().join("refresh_now");
    symlink("/etc/hostname", &path).unwrap();
    let jobs = with_told_jobs(&place, &[]).set("schedule.trigger_poll", "10ms");
    let running = jobs.set("schedule.load_at_start", "false").spawn();
    logged(&place, "refused: a symbolic link", 1);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    logged(&place, "refused: a folder", 1);
    fs::remove_dir(&path).unwrap();
    fs::write(&path, vec![b' '; 2 << 20]).unwrap();
    logged(&place, "refused: 2097152 bytes, expected at most 1048576", 1);
    fs::write(&path, "1693").unwrap();
    logged(&place, "has ended: exit 0: done", 1);
    let log = stopped(&place, running);
    assert_eq!(log.matches("refused: ").count(), 3, "{log}");
    assert_eq!(started(&place).len(), 1);
}

#[test]
fn a_scheduler_that_was_killed_sees_it_through_the_next_time() {
    let place = Place::new();
    trigger(&place, "1693");
    let patient = with_told_jobs(&place, &["patient", "0"]).set("schedule.load_at_start", "false");
    let running = patient.spawn();
    logged(&place, "a word of number 1", 1);
    let _killed = running.kill();
    for pid in crate::place::working_in(&place.path("")) {
        r3e_tests::harness::signal(pid, "KILL");
    }
    let running = patient.spawn();
    logged(&place, "has ended: exit 0: done", 1);
    stopped(&place, running);
    assert_eq!(started(&place).len(), 2);
    assert!(!place.cache().join(".refresh_now.taken").exists());
}
