//! Files and folders of another user, as left behind by a job that was run as root.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use r3e_common::domain::Combination;
use r3e_tests::harness::{Place, board_file};

use super::cells::run_all;
use super::job::JOBS;
use super::permissions::{asking, failed_boards, give_to_nobody, set_mode, two_users};
use super::world::{World, exports, files};

const ROOT: u32 = 0;

/// What another user has left.
struct Left {
    name: &'static str,
    /// Makes it so.
    make: fn(&Place, &[Combination]),
    code: i32,
}

fn give_to_root(path: &Path, mode: u32) {
    chown(path, Some(ROOT), Some(ROOT)).unwrap();
    set_mode(path, mode);
}

fn track(place: &Place, folder: &str, board: Combination) -> PathBuf {
    board_file(&place.path(folder), board).parent().unwrap().to_owned()
}

/// All board files in the folder of that board's track.
fn give_boards_of_track(place: &Place, board: Combination) {
    for file in files(&track(place, "cache", board)) {
        give_to_root(&file, 0o644);
    }
}

const LEFT: [Left; 10] = [
    Left {
        name: "all board files",
        make: |place, boards| boards.iter().for_each(|it| give_boards_of_track(place, *it)),
        code: 0,
    },
    Left {
        name: "a board file that only its owner reads",
        make: |place, boards| give_to_root(&board_file(&place.cache(), boards[0]), 0o600),
        code: 0,
    },
    Left {
        name: "board files in a sticky folder",
        make: |place, boards| {
            give_boards_of_track(place, boards[0]);
            give_to_root(&track(place, "cache", boards[0]), 0o1777);
        },
        code: 3,
    },
    Left {
        name: "a folder of boards",
        make: |place, boards| {
            give_boards_of_track(place, boards[0]);
            give_to_root(&track(place, "cache", boards[0]), 0o755);
        },
        code: 3,
    },
    Left {
        name: "a folder of boards that only its owner enters",
        make: |place, boards| give_to_root(&track(place, "cache", boards[0]), 0o700),
        code: 3,
    },
    Left {
        name: "a folder with a board in staging",
        make: |place, boards| {
            let folder = track(place, "cache_temp", boards[3]);
            for file in files(&folder) {
                give_to_root(&file, 0o644);
            }
            give_to_root(&folder, 0o755);
        },
        code: 3,
    },
    Left {
        name: "an empty folder in staging",
        make: |place, boards| {
            let folder = track(place, "cache_temp", boards[35]);
            fs::create_dir_all(&folder).unwrap();
            give_to_root(&folder, 0o755);
        },
        code: 0,
    },
    Left {
        name: "locks",
        make: |place, _| {
            for name in ["cache/.writer.lock", "cache/.status.lock", "cache_temp/.writer.lock"] {
                give_to_root(&place.path(name), 0o644);
            }
        },
        code: 0,
    },
    Left {
        name: "exports and status.json, which only their owner reads",
        make: |place, _| {
            for name in ["driver_index.json.gz", "top_combinations.json", "status.json"] {
                give_to_root(&place.cache().join(name), 0o600);
            }
        },
        code: 0,
    },
    Left {
        name: "all folders of boards, which only their owner enters",
        make: |place, boards| boards.iter().for_each(|it| give_to_root(&track(place, "cache", *it), 0o700)),
        code: 74,
    },
];

#[test]
fn files_of_another_user() {
    if !two_users() {
        return;
    }
    let world = World::new();
    let boards: Vec<_> = world.sim.world().catalog().combinations().collect();
    let cells = LEFT.iter().flat_map(|left| JOBS.map(|job| (left, job)));
    let named = cells.map(|(left, job)| (format!("{job:?}, {}", left.name), (left, job)));
    run_all(named, |&(left, job)| {
        let place = world.place();
        for name in ["cache/.writer.lock", "cache/.status.lock", "cache_temp/.writer.lock"] {
            fs::write(place.path(name), "").unwrap();
        }
        for board in &boards {
            fs::create_dir_all(track(&place, "cache", *board)).unwrap();
        }
        give_to_nobody(&place);
        let before = exports(&place);
        (left.make)(&place, &boards);
        let _ended = asking(job.at(&place, &world.sim)).run().with_code(left.code);
        let failed = if left.code == 74 { BTreeMap::default() } else { failed_boards(&place) };
        assert_eq!(!failed.is_empty(), left.code == 3, "{failed:?}");
        for (board, error) in &failed {
            let refused = ["Permission denied", "Operation not permitted"].iter().any(|it| error.contains(it));
            assert!(refused && error.contains("user 0"), "{board}: {error}");
            assert_eq!(board.track, if left.name.contains("staging") { boards[3].track } else { boards[0].track });
        }
        if left.code == 74 {
            assert!(exports(&place) == before, "an index of what can be read replaced that of all boards");
        }
        world.assert_nothing_lost(&place);

        give_to_nobody(&place);
        for board in &boards {
            set_mode(&track(&place, "cache", *board), 0o755);
        }
        let _next = asking(job.at(&place, &world.sim)).run().with_code(0);
        world.assert_undisturbed(&place);
    });
}
