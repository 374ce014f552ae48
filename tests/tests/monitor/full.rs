//! A disk that is full is reported while the watch goes on, and nothing of finished jobs is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use r3e_tests::harness::{Place, until};

use crate::place::{busy_watch, history, leave_record, log, logged, sound_history, waiting};

/// A file system of so many kilobytes in a folder; gone when dropped.
struct Small(PathBuf);

impl Small {
    /// None where this process may not mount.
    fn mount(folder: &Path, kilobytes: u32) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let size = format!("size={kilobytes}k");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "r3e-test"]).arg(folder).output().unwrap();
        mounted.status.success().then(|| Self(folder.to_owned()))
    }

    /// Leaves so many bytes free.
    fn fill(&self, free: usize) {
        let filler = self.0.join("filler");
        let mut bytes = vec![1; 4096];
        bytes.resize(64 << 20, 1);
        // It takes what there is.
        let error = fs::write(&filler, &bytes).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        let length = fs::metadata(&filler).unwrap().len();
        fs::File::options().write(true).open(&filler).unwrap().set_len(length.saturating_sub(free as u64)).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // The folder is removed all the same; a mount that stays is empty.
        let _unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

const ERRORS: [&str; 2] = ["database or disk is full", "No space left"];

const AGAIN: &str = "the history is written again";

fn errors(place: &Place) -> usize {
    log(place).lines().filter(|line| line.contains("ERROR")).count()
}

fn purges(place: &Place) -> usize {
    log(place).matches("💾 Periodic GC: Alloc=").count()
}

#[test]
fn a_full_disk_is_reported_once_and_the_watch_goes_on_until_there_is_room() {
    let place = Place::new();
    let Some(disk) = Small::mount(history(&place).parent().unwrap(), 1024) else {
        println!("left out: this process may not mount a small file system");
        return;
    };
    let mut running = logged(busy_watch(&place));
    leave_record(&place, 0);
    until("the first run is in the history", || waiting(&place) == 0);
    let mut number = 0;
    for round in 1..=2 {
        let again = log(&place).matches(AGAIN).count();
        disk.fill(0);
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

        disk.make_room();
        until("what waited is taken in", || waiting(&place) == 0);
        until("it says that it writes again", || log(&place).matches(AGAIN).count() > again);
        let all_told = log(&place).matches(AGAIN).count();
        assert!(errors(&place) <= 3 * all_told, "told once, not in a loop: {}", log(&place));
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
    let Some(disk) = Small::mount(history(&place).parent().unwrap(), 256) else {
        println!("left out: this process may not mount a small file system");
        return;
    };
    disk.fill(0);
    leave_record(&place, 1);
    let running = logged(busy_watch(&place));
    until("it is at work all the same", || errors(&place) > 0 && purges(&place) > 10);
    assert_eq!(waiting(&place), 1);
    disk.make_room();
    until("there is a history", || waiting(&place) == 0);
    running.signal("INT");
    let _ended = running.wait().with_code(0);
    assert_eq!(sound_history(&place), [1]);
}
