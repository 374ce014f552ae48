//! Damaged and wrong files in the cache and in staging.

use std::fs;
use std::path::Path;
use std::time::Duration;

use r3e_common::domain::Combination;
use r3e_tests::harness::{
    Differences, Place, age, assert_serves, board_file, board_files, driver_index, events_at, gzip, read_status,
    simulated,
};
use r3e_tests::sim::{FaultKind, Faults, SimOptions, Simulator};

/// Makes what stands in the place of a board, of its whole file and of that of another board.
type Damage = fn(whole: &[u8], other: &[u8]) -> Vec<u8>;

/// What a file can be instead of its board.
const DAMAGES: [(&str, Damage); 9] = [
    ("truncated", |whole, _| whole[..whole.len() / 2].to_vec()),
    ("without its last byte", |whole, _| whole[..whole.len() - 1].to_vec()),
    ("a flipped bit", |whole, _| {
        let mut bytes = whole.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        bytes
    }),
    ("garbage", |_, _| b"\x00\xffgarbage".repeat(20)),
    ("empty", |_, _| Vec::new()),
    ("another board", |_, other| other.to_vec()),
    ("trailing bytes", |whole, _| [whole, b"more"].concat()),
    ("a second gzip member", |whole, _| [whole, whole].concat()),
    ("a page of HTML, compressed", |_, _| gzip(b"<!DOCTYPE html><html></html>")),
];

fn world() -> (Simulator, Place) {
    simulated(6, 6, SimOptions { entries: 2000, drivers: 300, ..SimOptions::default() })
}

/// The boards with entries, largest first.
fn filled(sim: &Simulator) -> Vec<Combination> {
    let mut boards: Vec<_> = sim.world().boards().filter(|board| !board.is_empty()).collect();
    boards.sort_by_key(|board| std::cmp::Reverse(board.len()));
    boards.iter().map(r3e_tests::sim::Board::combination).collect()
}

fn name(board: Combination) -> String {
    board_file(Path::new(""), board).to_string_lossy().into_owned()
}

#[test]
fn damaged_boards_are_reported_moved_aside_and_fetched_again() {
    let (sim, place) = world();
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    let boards = filled(&sim);
    assert!(boards.len() > DAMAGES.len());
    let whole: Vec<Vec<u8>> = boards.iter().map(|&it| fs::read(board_file(&place.cache(), it)).unwrap()).collect();
    let mut damaged = Vec::new();
    for (number, (_, damage)) in DAMAGES.iter().enumerate() {
        let bytes = damage(&whole[number], &whole[number + 1]);
        fs::write(board_file(&place.cache(), boards[number]), &bytes).unwrap();
        damaged.push((boards[number], bytes));
    }
    let folder = boards[DAMAGES.len()];
    fs::remove_file(board_file(&place.cache(), folder)).unwrap();
    fs::create_dir(board_file(&place.cache(), folder)).unwrap();

    sim.reset_stats();
    let ended = place.loader(&sim.base_url()).run().with_code(0);
    let count = DAMAGES.len() as u64 + 1;
    assert_eq!((ended.boards("damaged"), ended.boards("due"), sim.stats().distinct_boards), (count, count, count));
    for ((board, bytes), (what, _)) in damaged.iter().zip(DAMAGES) {
        assert!(ended.stderr.contains(&name(*board)), "{what}: told by its path: {}", ended.stderr);
        let aside = place.cache().join(".damaged").join(name(*board));
        assert!(fs::read(&aside).unwrap() == *bytes, "{what}: kept as it was at {}", aside.display());
    }
    assert!(place.cache().join(".damaged").join(name(folder)).is_dir());
    assert_eq!(board_files(&place.cache()).len(), 36);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn without_the_service_damaged_boards_are_left_out_of_the_index_and_the_others_stay() {
    let (sim, place) = world();
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    let victim = filled(&sim)[0];
    fs::write(board_file(&place.cache(), victim), b"half a bo").unwrap();
    let ended = place.loader(&sim.base_url()).argument("--cached-only").run().with_code(0);
    assert_eq!((ended.boards("damaged"), ended.boards("cached")), (1, 35));
    let missing = [victim].into();
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences { missing });
}

#[test]
fn a_board_with_entries_is_never_replaced_by_less() {
    let (sim, place) = world();
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    let victim = filled(&sim)[0];
    let path = board_file(&place.cache(), victim);
    let before = fs::read(&path).unwrap();

    for kind in [
        FaultKind::Maintenance,
        FaultKind::TruncatedJson,
        FaultKind::WrongType,
        FaultKind::CutChunked,
        FaultKind::DeepNesting,
        FaultKind::GzipBomb,
    ] {
        age(&path, Duration::from_hours(48));
        sim.set_faults(Faults { always: [(victim, kind)].into(), ..Faults::default() }).unwrap();
        let ended = place.loader(&sim.base_url()).set("upstream.attempts", "2").run();
        assert!(fs::read(&path).unwrap() == before, "{kind}");
        assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
        assert!(matches!(ended.code(), Some(0 | 3)), "{kind}: {}", ended.stderr);
    }

    // A service that knows nothing of that board any more.
    let (board_sizes, catalog) = ([(victim, 0)].into(), sim.world().catalog().clone());
    let options = SimOptions { catalog, entries: 1000, drivers: 300, board_sizes, ..SimOptions::default() };
    let emptied = Simulator::start(options).unwrap();
    age(&path, Duration::from_hours(48));
    let ended = place.loader(&emptied.base_url()).run().with_code(0);
    assert_eq!((ended.boards("empty"), ended.boards("kept"), ended.boards("promoted")), (0, 1, 0));
    assert!(events_at(&ended.stderr, "WARN").iter().any(|it| it.names(&victim.to_string())), "{}", ended.stderr);
    assert!(fs::read(&path).unwrap() == before);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    assert!(board_files(&place.staging()).is_empty());
}

#[test]
fn damaged_leftovers_in_staging_are_not_promoted() {
    let (sim, place) = world();
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    let boards = filled(&sim);
    let mut left = Vec::new();
    for (number, (what, damage)) in DAMAGES.iter().enumerate() {
        let cached = board_file(&place.cache(), boards[number]);
        let other = fs::read(board_file(&place.cache(), boards[number + 1])).unwrap();
        let bytes = damage(&fs::read(&cached).unwrap(), &other);
        left.push((boards[number], *what, bytes));
    }
    for (board, _, bytes) in &left {
        fs::remove_file(board_file(&place.cache(), *board)).unwrap();
        let staged = board_file(&place.staging(), *board);
        fs::create_dir_all(staged.parent().unwrap()).unwrap();
        fs::write(staged, bytes).unwrap();
    }
    // One whole leftover beside them, and a file that is no board.
    let whole = boards[DAMAGES.len()];
    let staged = board_file(&place.staging(), whole);
    fs::create_dir_all(staged.parent().unwrap()).unwrap();
    fs::rename(board_file(&place.cache(), whole), &staged).unwrap();
    fs::write(staged.with_file_name("notes.txt"), "mine").unwrap();

    sim.reset_stats();
    let ended = place.loader(&sim.base_url()).run().with_code(0);
    assert_eq!(ended.boards("left_by_interrupted_run"), 1, "{}", ended.stderr);
    assert_eq!(sim.stats().distinct_boards, DAMAGES.len() as u64, "fetched anew, and the whole one is not");
    for (board, what, bytes) in left {
        let aside = place.staging().join(".damaged").join(name(board));
        assert!(fs::read(&aside).unwrap() == bytes, "{what}: kept as it was at {}", aside.display());
        assert!(ended.stderr.contains(&name(board)), "{what}: told by its path: {}", ended.stderr);
    }
    assert_eq!(fs::read_to_string(staged.with_file_name("notes.txt")).unwrap(), "mine");
    assert!(ended.stderr.contains("notes.txt"), "{}", ended.stderr);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn a_damaged_index_and_a_damaged_status_are_replaced() {
    let (sim, place) = world();
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    for name in ["driver_index.json.gz", "top_combinations.json", "status.json"] {
        fs::write(place.cache().join(name), b"{\"half").unwrap();
    }
    let _ended = place.loader(&sim.base_url()).argument("--cached-only").run().with_code(0);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    assert_eq!(read_status(&place.cache())["total_fetched_combinations"], 36);
    assert_eq!(fs::read(place.cache().join(".damaged/status.json")).unwrap(), b"{\"half");
}
