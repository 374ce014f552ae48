//! Files that are not what they should be, and answers that may not replace what is there.

use std::path::Path;
use std::process::Command;

use r3e_common::domain::Combination;
use r3e_tests::harness::{Loader, Running, boards, compare, snapshot};
use r3e_tests::sim::{FaultKind, Faults, SimOptions, Simulator};

use crate::small;

fn path_of(cache: &Path, board: Combination) -> std::path::PathBuf {
    cache.join(format!("track_{}/class_{}.json.gz", board.track, board.class))
}

#[test]
fn damaged_boards_are_told_moved_aside_and_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let (sim, loader) = small(folder.path(), SimOptions::default());
    let _done = loader.run().ended(0);
    let victims: Vec<Combination> =
        sim.world().boards().filter(|it| !it.is_empty()).map(|it| it.combination()).take(7).collect();
    let good = std::fs::read(path_of(&cache, victims[6])).unwrap();
    let own = |number: usize| std::fs::read(path_of(&cache, victims[number])).unwrap();
    let cut = own(0)[..own(0).len() / 2].to_vec();
    let longer = [own(1), b"more".to_vec()].concat();
    let twice = [own(2), own(2)].concat();
    for (number, bytes) in [cut, longer, twice, Vec::new(), b"<html>".to_vec(), good].into_iter().enumerate() {
        std::fs::write(path_of(&cache, victims[number]), bytes).unwrap();
    }
    std::fs::remove_file(path_of(&cache, victims[6])).unwrap();
    std::fs::create_dir(path_of(&cache, victims[6])).unwrap();
    sim.reset_stats();

    let run = loader.run().ended(0);
    assert_eq!((run.number("/boards/damaged"), run.number("/boards/fetched")), (7, 7));
    assert_eq!(sim.stats().distinct_boards, 7);
    for &board in &victims {
        let name = format!("track_{}/class_{}.json.gz", board.track, board.class);
        assert!(run.errors.contains(&name), "{}", run.errors);
        assert!(cache.join(".damaged").join(name).exists());
    }
    compare(&cache, sim.world(), &[]);
}

#[test]
fn entries_are_replaced_neither_by_an_empty_answer_nor_by_an_error_page() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let (sim, loader) = small(folder.path(), SimOptions::default());
    let _done = loader.run().ended(0);
    let before = boards(&cache);
    let full: Vec<Combination> = before.iter().filter(|(_, it)| !it.is_empty()).map(|(board, _)| *board).collect();

    let emptied = full.iter().take(5).map(|&board| (board, 0)).collect();
    let always = full.iter().skip(5).take(5).map(|&board| (board, FaultKind::Maintenance)).collect();
    let options = SimOptions {
        catalog: sim.world().catalog().clone(),
        entries: 12_000,
        drivers: 4_000,
        board_sizes: emptied,
        faults: Faults { always, ..Faults::default() },
        ..SimOptions::default()
    };
    let other = Simulator::start(options).unwrap();
    let run = loader.upstream(&other.base_url()).set("cache.max_age", "1ms").run().ended(3);
    assert!(run.number("/boards/kept") >= 5);
    assert_eq!(run.number("/boards/failed"), 5);
    let after = boards(&cache);
    for board in full.iter().take(10) {
        assert_eq!(after[board], before[board], "{board}");
    }
    assert!(run.errors.contains("it is kept"), "{}", run.errors);
}

#[test]
fn garbage_left_in_staging_is_not_promoted() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let (sim, loader) = small(folder.path(), SimOptions::default());
    let board = sim.world().boards().find(|it| !it.is_empty()).unwrap().combination();
    let staged = path_of(&folder.path().join("cache_temp"), board);
    std::fs::create_dir_all(staged.parent().unwrap()).unwrap();
    std::fs::write(&staged, b"\x1f\x8b half a board").unwrap();
    std::fs::write(staged.with_file_name("notes.txt"), "mine").unwrap();
    let run = loader.run().ended(0);
    assert!(run.errors.contains("left in staging by an interrupted run, and moved aside"), "{}", run.errors);
    assert!(staged.with_file_name("notes.txt").exists() && run.errors.contains("notes.txt"));
    compare(&cache, sim.world(), &[]);
}

#[test]
fn a_disk_that_takes_no_more_is_told_and_what_was_published_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (_sim, loader) = small(folder.path(), SimOptions::default());
    let _done = loader.run().ended(0);
    let published = |folder: &Path| {
        let mut files = snapshot(&folder.join("cache"));
        files.remove(&folder.join("cache/status.json"));
        files
    };
    let before = published(folder.path());
    // No file may grow over 64 KiB, as on a full disk: boards fit, the index does not.
    let limited = |loader: &Loader| {
        let command = loader.command();
        let mut shell = Command::new("sh");
        shell.arg("-c").arg("trap '' XFSZ; ulimit -f 128; exec \"$@\"").arg("sh");
        shell.arg(command.get_program()).args(command.get_args()).current_dir(folder.path());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
        Running::start(shell.stderr(std::process::Stdio::piped())).wait()
    };
    std::fs::remove_file(folder.path().join("cache/top_combinations.json")).unwrap();
    let run = limited(&loader).ended(74);
    assert!(run.errors.contains("cannot write"), "{}", run.errors);
    let mut after = published(folder.path());
    after.retain(|path, _| before.contains_key(path));
    assert!(before.iter().filter(|(path, _)| after.contains_key(*path)).all(|(path, it)| after[path] == *it));
    assert!(after.len() + 1 >= before.len());
    let _well_again = loader.run().ended(0);
    assert_eq!(published(folder.path()).len(), before.len());
}
