//! The trigger file: it is noticed, taken, kept while a job runs, and never lost.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;

use r3e_tests::harness::{BindMount, Place, ReadOnlyFolder, children, events_at, events_with, signal, until};

use crate::place::{Logged, job_said, log, logged, started, stopped, trigger, trigger_is_over, with_told_jobs};

#[test]
fn it_is_noticed_at_once_and_selects_the_boards() {
    let place = Place::new();
    // Nobody looks for it from time to time: it is noticed.
    let jobs = with_told_jobs(&place, &[]).set("schedule.trigger_poll", "10h");
    let running = jobs.set("schedule.load_at_start", "false").spawn();
    until("the cache is watched", || {
        place.cache().is_dir() && !log(&place).is_empty() || place.staging().join(".scheduler.json").exists()
    });
    trigger(&place, "1693 5276-8600\n");
    logged(&place, Logged::Done, 1);
    trigger(&place, " \n");
    logged(&place, Logged::Done, 2);
    stopped(&place, running);
    let [boards, full] = started(&place).try_into().unwrap();
    assert!(boards.starts_with("r3e-refresher boards --from=cache/.refresh_now.taken "), "{boards}");
    assert!(full.starts_with("r3e-refresher full "), "{full}");
    assert!(!place.cache().join(".refresh_now.taken").exists() && !place.cache().join("refresh_now").exists());
}

#[test]
fn it_is_found_without_file_system_notification() {
    let place = Place::new();
    fs::create_dir_all(place.cache()).unwrap();
    let jobs = with_told_jobs(&place, &[]).set("schedule.trigger_poll", "20ms");
    let running = jobs.set("schedule.load_at_start", "false").spawn();
    until("it is at work", || place.staging().join(".scheduler.json").exists());
    // Another folder is mounted where the cache was: the kernel says nothing of that to who watches the one below.
    let other = place.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("refresh_now"), "1693").unwrap();
    let Some(mounted) = BindMount::mount(&other, &place.cache()) else { return };
    logged(&place, Logged::Done, 1);
    stopped(&place, running);
    drop(mounted);
}

#[test]
fn it_is_taken_however_busy_the_cache_is() {
    let place = Place::new();
    fs::create_dir_all(place.cache()).unwrap();
    let jobs = with_told_jobs(&place, &[]).set("schedule.trigger_poll", "10h");
    let running = jobs.set("schedule.load_at_start", "false").spawn();
    until("it is at work", || place.staging().join(".scheduler.json").exists());
    trigger(&place, "1693");
    until("it is taken", || {
        fs::write(place.cache().join("neighbour"), "").unwrap();
        !Logged::Done.events(&place).is_empty()
    });
    stopped(&place, running);
}

#[test]
fn one_refresh_covers_a_missed_run_and_a_trigger_for_everything() {
    let place = Place::new();
    trigger(&place, "");
    fs::create_dir_all(place.staging()).unwrap();
    fs::write(place.staging().join(".scheduler.json"), r#"{"format":1,"settled_at":"2026-01-01T00:00:00Z"}"#).unwrap();
    // Whichever is asked for first, the other one joins it or comes after it with nothing to do.
    let running = with_told_jobs(&place, &["patient"]).set("schedule.job_timeout", "2s").spawn();
    logged(&place, Logged::Retried, 1);
    logged(&place, Logged::Done, 1);
    trigger_is_over(&place);
    stopped(&place, running);
    assert!(started(&place).iter().all(|it| it.starts_with("r3e-refresher full ")), "{:?}", started(&place));
}

#[test]
fn a_taken_file_that_cannot_be_removed_starts_no_new_job() {
    let place = Place::new();
    fs::create_dir_all(place.cache()).unwrap();
    fs::write(place.cache().join(".refresh_now.taken"), "1693").unwrap();
    let Some(_mounted) = ReadOnlyFolder::mount(&place.cache()) else { return };
    let jobs = with_told_jobs(&place, &[]).set("schedule.trigger_poll", "10ms");
    let running = jobs.set("schedule.load_at_start", "false").spawn();
    let errors = || events_at(&log(&place), "ERROR").iter().filter(|it| it.names(".refresh_now.taken")).count();
    until("the error is logged", || errors() == 1);
    // It goes on looking, as the clock of its log tells; a reload is answered meanwhile.
    for times in 1..=20 {
        running.signal("HUP");
        logged(&place, Logged::Reloaded, times);
    }
    let log = stopped(&place, running);
    assert_eq!((started(&place).len(), log.matches("cannot take the trigger file").count()), (1, 1), "{log}");
}

#[test]
fn the_trigger_file_is_kept_during_its_job_and_late_additions_are_not_lost() {
    let place = Place::new();
    let jobs = with_told_jobs(&place, &["deaf", "held", "0", "0"]);
    let running = jobs
        .set("schedule.trigger_poll", "20ms")
        .set("schedule.job_timeout", "5s")
        .set("runtime.stop_grace", "2s")
        .set("schedule.attempts", "1")
        .spawn();
    job_said(&place, 1);
    let path = place.cache().join("refresh_now");
    let mut slow = fs::File::create(&path).unwrap();
    slow.write_all(b"1693\n").unwrap();
    logged(&place, Logged::TimedOut, 1);
    assert!(path.exists(), "it is kept while the load is at work");
    job_said(&place, 2);
    assert!(!path.exists(), "it is taken");
    slow.write_all(b"1778\n").unwrap();
    trigger(&place, "5276-8600");
    fs::write(place.path("go"), "").unwrap();
    job_said(&place, 4);
    logged(&place, Logged::Done, 3);
    stopped(&place, running);
    assert_eq!(started(&place).len(), 4);
}

#[test]
fn a_trigger_that_is_no_file_is_refused_once_and_the_next_one_taken() {
    let place = Place::new();
    fs::create_dir_all(place.cache()).unwrap();
    let path = place.cache().join("refresh_now");
    symlink("/etc/hostname", &path).unwrap();
    let jobs = with_told_jobs(&place, &[]).set("schedule.trigger_poll", "10ms");
    let running = jobs.set("schedule.load_at_start", "false").spawn();
    let refusals =
        || events_at(&log(&place), "ERROR").into_iter().filter(|it| it.names("refresh_now")).collect::<Vec<_>>();
    until("the symbolic link is refused", || refusals().len() == 1);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    until("the folder is refused", || refusals().len() == 2);
    fs::remove_dir(&path).unwrap();
    trigger(&place, &" ".repeat(2 << 20));
    until("the large file is refused", || refusals().len() == 3);
    assert!(refusals()[2].names("2097152") && refusals()[2].names("1048576"), "{:?}", refusals());
    trigger(&place, "1693");
    logged(&place, Logged::Done, 1);
    stopped(&place, running);
    assert_eq!(refusals().len(), 3, "{:?}", refusals());
    assert_eq!(started(&place).len(), 1);
}

#[test]
fn a_killed_scheduler_finishes_the_trigger_after_a_restart() {
    let place = Place::new();
    trigger(&place, "1693");
    let patient = with_told_jobs(&place, &["patient", "0"]).set("schedule.load_at_start", "false");
    let running = patient.spawn();
    job_said(&place, 1);
    let _killed = running.kill();
    place.kill_all();
    let running = patient.spawn();
    logged(&place, Logged::Done, 1);
    stopped(&place, running);
    assert_eq!(started(&place).len(), 2);
    assert!(!place.cache().join(".refresh_now.taken").exists());
}

#[test]
fn a_trigger_whose_job_is_stopped_is_retried_until_done() {
    let place = Place::new();
    trigger(&place, "1693");
    let jobs = with_told_jobs(&place, &["patient", "patient", "held"]).set("schedule.load_at_start", "false");
    let running = jobs.set("schedule.attempts", "1").spawn();
    for (times, name) in [(1, "TERM"), (2, "KILL")] {
        job_said(&place, times);
        let [job] = children(running.pid()).try_into().unwrap();
        signal(job, name);
        logged(&place, Logged::Retried, times);
        assert!(place.cache().join(".refresh_now.taken").exists());
    }
    fs::write(place.path("go"), "").unwrap();
    logged(&place, Logged::Done, 1);
    trigger_is_over(&place);
    let log = stopped(&place, running);
    assert!(Logged::Failed.events(&place)[0].names("143"), "{log}");
    assert!(Logged::Retried.events(&place)[0].field("to_drop").as_str().unwrap().contains("cache/.refresh_now.taken"));
}

#[test]
fn removing_the_taken_file_drops_its_retry() {
    let place = Place::new();
    trigger(&place, "1693");
    let jobs = with_told_jobs(&place, &["143"]).set("schedule.load_at_start", "false");
    let jobs = jobs.set("schedule.backoff_min", "1h").set("schedule.backoff_max", "1h");
    let running = jobs.set("schedule.trigger_poll", "10ms").spawn();
    logged(&place, Logged::Retried, 1);
    fs::remove_file(place.cache().join(".refresh_now.taken")).unwrap();
    until("it is noticed", || events_with(&log(&place), &["path"]).iter().any(|it| it.names(".refresh_now.taken")));
    // The next one is taken.
    trigger(&place, "5276-8600");
    logged(&place, Logged::Done, 1);
    stopped(&place, running);
    assert_eq!(started(&place).len(), 2);
}
