//! Full and read-only disks (real file systems, mounted by the tests), and limits on file size.

use std::fs;

use r3e_tests::harness::{Place, ReadOnlyFolder, SmallDisk, board_file, may_mount};

use super::cells::run_all;
use super::job::{JOBS, Job};
use super::permissions::failed_boards;
use super::world::{World, copy_place};

const KILOBYTES: u32 = 2048;

fn every_pair<T: Copy>(phases: &[(&str, T)]) -> Vec<(String, (T, Job, Job))> {
    let pairs = JOBS.iter().flat_map(|&job| JOBS.map(|next| (job, next)));
    let cells = phases.iter().flat_map(|(name, it)| pairs.clone().map(move |pair| (*name, *it, pair)));
    cells.map(|(name, it, (job, next))| (format!("{job:?} in {name}, next {next:?}"), (it, job, next))).collect()
}

#[test]
fn a_disk_that_is_full() {
    if !may_mount() {
        return;
    }
    let world = World::new();
    // Only the driver index is published, so that it is known how much room an export takes.
    let first = world.place();
    for folder in ["index", "stats", "combinations"] {
        fs::remove_dir_all(first.cache().join(folder)).unwrap();
    }
    for file in ["top_combinations.json.gz", "all_combinations.json.gz"] {
        fs::remove_file(first.cache().join(file)).unwrap();
    }
    let index = fs::metadata(first.cache().join("driver_index.json.gz")).unwrap().len() / 1024;
    // Before the first export three small boards are replaced by those in staging, which frees their room.
    let phases = [
        ("opening", (0, "status.json")),
        ("first publication", (4, "driver_index")),
        ("fetching", (index + 4, "track_")),
    ];
    run_all(every_pair(&phases), |&((room, named), job, next)| {
        let disk = SmallDisk::mount(KILOBYTES).unwrap();
        let place = Place::with_catalog_in(disk.path(), world.sim.world().catalog());
        copy_place(&first, &place);
        let filler = disk.fill_but(room);
        let job = job.at(&place, &world.sim).set("index.formats", "2026-02");
        let _ended = job.run().with_code(74).naming(&["No space left on device", named]);
        world.assert_nothing_lost(&place);
        fs::remove_file(filler).unwrap();
        let _next = next.at(&place, &world.sim).run().with_code(0);
        world.assert_undisturbed(&place);
    });
}

#[test]
fn files_that_may_not_grow() {
    let world = World::new();
    run_all(
        every_pair(&[("opening", 1), ("the first file", 512), ("first publication", 2048)]),
        |&(bytes, job, next)| {
            let place = world.place();
            let job = job.at(&place, &world.sim).with_files_up_to(bytes);
            let _ended =
                job.run().with_code(74).naming(&["File too large", "RLIMIT_FSIZE", &format!(" {bytes} "), "cache"]);
            world.assert_nothing_lost(&place);
            let _next = next.at(&place, &world.sim).run().with_code(0);
            world.assert_undisturbed(&place);
        },
    );
}

#[test]
fn a_disk_that_is_read_only() {
    if !may_mount() {
        return;
    }
    let world = World::new();
    run_all(every_pair(&[("opening", ())]), |&((), job, next)| {
        let disk = SmallDisk::mount(KILOBYTES).unwrap();
        let place = Place::with_catalog_in(disk.path(), world.sim.world().catalog());
        world.fill(&place);
        disk.set_read_only(true);
        let _ended = job.at(&place, &world.sim).run().with_code(74).naming(&[".writer.lock", "Read-only file system"]);
        world.assert_nothing_lost(&place);
        disk.set_read_only(false);
        let _next = next.at(&place, &world.sim).run().with_code(0);
        world.assert_undisturbed(&place);
    });
}

/// A folder of one track on a disk of its own, which is read-only. Moving a board there is moving across disks.
#[test]
fn a_folder_that_is_read_only() {
    if !may_mount() {
        return;
    }
    let world = World::new();
    let boards: Vec<_> = world.sim.world().catalog().combinations().collect();
    // The first track has a board in staging, the last has none.
    let phases = [("first publication", ("cache", 0)), ("promoting", ("cache", 35)), ("fetching", ("cache_temp", 35))];
    let mut cells = every_pair(&phases);
    cells.retain(|(_, ((folder, _), job, _))| *folder == "cache" || !job.writes_through());
    run_all(cells, |&((folder, number), job, next)| {
        let place = world.place();
        let file = board_file(&place.path(folder), boards[number]);
        let track = file.parent().unwrap();
        fs::create_dir_all(track).unwrap();
        let read_only = ReadOnlyFolder::mount(track).unwrap();
        let _ended = job.at(&place, &world.sim).run().with_code(3);
        let failed = failed_boards(&place);
        assert!(!failed.is_empty());
        for (board, error) in failed {
            let named = error.contains(&*track.file_name().unwrap().to_string_lossy());
            assert!(named && error.contains("Read-only file system"), "{board}: {error}");
        }
        world.assert_nothing_lost(&place);
        drop(read_only);
        let _next = next.at(&place, &world.sim).run().with_code(0);
        world.assert_undisturbed(&place);
    });
}
