//! The initial state of every job of the matrix, and the expected result: a cache that is two days behind the service, with
//! boards missing and some left in staging.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use r3e_common::domain::Combination;
use r3e_tests::harness::{
    BoardFile, Call, Place, board_at, board_file, board_files, distinct_drivers, driver_index,
    driver_index_and_generation, grid, read_status, top_combinations,
};
use r3e_tests::sim::{SimOptions, Simulator};

/// How many boards are left in staging.
pub(crate) const LEFT: u32 = 3;

/// How many boards a job that fetches all writes: those that have changed and those that are missing.
const WRITTEN: u32 = 21;

/// The call that promotes one of these, which is cached and has changed: the 22nd board of the catalogue.
pub(crate) const PROMOTED: Call = ("rename", "cache/track_104/class_9004.json.gz");

pub(crate) type Boards = BTreeMap<Combination, BoardFile>;

pub(crate) struct World {
    pub(crate) sim: Simulator,
    template: Place,
    /// What is cached at first.
    pub(crate) before: Boards,
    /// What an undisturbed load makes of it: the boards, and the bytes of the exports.
    pub(crate) served: Boards,
    exports: [Vec<u8>; 2],
}

const EXPORTS: [&str; 2] = ["driver_index.json.gz", "top_combinations.json"];

pub(crate) fn exports(place: &Place) -> [Vec<u8>; 2] {
    EXPORTS.map(|name| fs::read(place.cache().join(name)).unwrap())
}

impl World {
    pub(crate) fn new() -> Self {
        let catalog = grid(6, 6);
        let boards: Vec<Combination> = catalog.combinations().collect();
        // Two of three have entries.
        let board_sizes: BTreeMap<_, u32> =
            (4..).zip(&boards).map(|(size, &board)| (board, if size % 3 == 0 { 0 } else { size })).collect();
        let entries = board_sizes.values().map(|&size| u64::from(size)).sum();
        let options =
            SimOptions { catalog: catalog.clone(), entries, drivers: 150, board_sizes, ..SimOptions::default() };
        let sim = Simulator::start(options).unwrap();
        let (template, undisturbed) = (Place::in_memory(&catalog), Place::in_memory(&catalog));
        let _first = template.loader(&sim.base_url()).run().with_code(0);

        let filled = |number: usize| number % 3 != 2;
        for (_, board) in boards.iter().enumerate().filter(|(number, _)| filled(*number) && number % 4 != 0) {
            sim.change_board(*board).unwrap();
        }
        let _second = undisturbed.loader(&sim.base_url()).run().with_code(0);
        for (_, board) in boards.iter().enumerate().filter(|(number, _)| [1, 2].contains(&(number % 6))) {
            fs::remove_file(board_file(&template.cache(), *board)).unwrap();
        }
        let _index = template.loader(&sim.base_url()).argument("--cached-only").run().with_code(0);
        shift(&template, -49 * 3600);
        for number in [3, 9, 15] {
            let staged = board_file(&template.staging(), boards[number]);
            fs::create_dir_all(staged.parent().unwrap()).unwrap();
            fs::copy(board_file(&undisturbed.cache(), boards[number]), staged).unwrap();
        }
        let (before, served) = (board_files(&template.cache()), board_files(&undisturbed.cache()));
        assert_eq!((before.len(), served.len(), board_files(&template.staging()).len()), (24, 36, LEFT as usize));
        let changed = |(board, it): &(&Combination, &BoardFile)| before.get(board).is_none_or(|old| !same(old, it));
        assert_eq!(served.iter().filter(changed).count(), (WRITTEN + LEFT) as usize);
        Self { sim, before, served, exports: exports(&undisturbed), template }
    }

    /// The cache as it is at first, in a place of its own.
    pub(crate) fn place(&self) -> Place {
        let place = Place::in_memory(self.sim.world().catalog());
        self.fill(&place);
        place
    }

    /// Puts the cache as it is at first there.
    pub(crate) fn fill(&self, place: &Place) {
        copy_place(&self.template, place);
    }

    /// Checks what must hold after any failure: all files that front ends read are complete, each board is either the old
    /// one or the one being served, and the index has no boards that are not in the cache.
    #[track_caller]
    pub(crate) fn assert_nothing_lost(&self, place: &Place) {
        let cache = place.cache();
        let now = board_files(&cache);
        for (board, old) in &self.before {
            let found = now.get(board).unwrap_or_else(|| panic!("{board} is lost"));
            assert!(same(found, old) || same(found, &self.served[board]), "{board}: neither old nor new: {found:?}");
        }
        for (board, found) in now.iter().filter(|(board, _)| !self.before.contains_key(board)) {
            assert!(same(found, &self.served[board]), "{board}: not what is served: {found:?}");
        }
        for (board, found) in board_files(&place.staging()) {
            assert!(same(&found, &self.served[&board]), "staged {board}: not what is served: {found:?}");
        }
        for row in driver_index(&cache).rows() {
            assert!(board_at(&cache, row.board().parse().unwrap()).is_some(), "in the index only: {row:?}");
        }
        let (_top, _status) = (top_combinations(&cache), read_status(&cache));
    }

    /// Checks what must hold after the next job: the state is as if nothing had failed.
    #[track_caller]
    pub(crate) fn assert_undisturbed(&self, place: &Place) {
        let cache = place.cache();
        let now = board_files(&cache);
        for (board, served) in &self.served {
            let found = now.get(board).unwrap_or_else(|| panic!("{board} is missing"));
            assert!(same(found, served), "{board}: not what is served: {found:?}");
        }
        assert_eq!(now.len(), self.served.len());
        for (name, (found, expected)) in EXPORTS.iter().zip(exports(place).iter().zip(&self.exports)) {
            assert!(found == expected, "{name}: not the bytes of an undisturbed run");
        }
        let (status, (index, generation)) = (read_status(&cache), driver_index_and_generation(&cache));
        assert_eq!(status["generation"], generation);
        assert_eq!(
            (&status["total_drivers"], &status["total_entries"]),
            (&distinct_drivers(now.values()).into(), &index.rows().count().into())
        );
        assert_eq!((&status["fetch_in_progress"], &status["failed_fetch_count"]), (&false.into(), &0.into()));
        assert!(board_files(&place.staging()).is_empty(), "boards stay in staging");
        let unfinished: Vec<PathBuf> = files(&place.path("")).into_iter().filter(|it| is_unfinished(it)).collect();
        assert_eq!(unfinished, Vec::<PathBuf>::new(), "unfinished files stay");
    }
}

pub(crate) fn same(one: &BoardFile, other: &BoardFile) -> bool {
    (&one.name, &one.entries) == (&other.name, &other.entries)
}

fn is_unfinished(path: &Path) -> bool {
    r3e_common::runtime::fs::is_temporary(&path.file_name().unwrap().to_string_lossy())
}

/// Every file below a folder, hidden ones too.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        // Programs make links anew.
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

/// Copies the cache and the staging folder of a place to another, with the files' times.
pub(crate) fn copy_place(from: &Place, to: &Place) {
    for folder in ["cache", "cache_temp"] {
        copy(&from.path(folder), &to.path(folder));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, &target).unwrap();
        set_written(&target, file.metadata().unwrap().modified().unwrap());
    }
}

/// Lets a file look as if it had been written then.
pub(crate) fn set_written(file: &Path, time: SystemTime) {
    fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
}

/// Lets all files of a cache and its staging folder look as if they had been written by a clock that is so many seconds
/// ahead, or behind.
pub(crate) fn shift(place: &Place, seconds: i64) {
    let by = Duration::from_secs(seconds.unsigned_abs());
    for file in [place.cache(), place.staging()].iter().flat_map(|folder| files(folder)) {
        let written = file.metadata().unwrap().modified().unwrap();
        set_written(&file, if seconds < 0 { written - by } else { written + by });
    }
}
